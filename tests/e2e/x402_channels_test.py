"""Paying by x402's channels: the public npm client deposits once and signs a voucher for each answer; it is charged what the
answer cost, once, whatever is repeated or killed, and the gateway claims before anything can be withdrawn.

The client knows its contract by the address it is published at. No package carries that contract: what stands there on anvil
is contracts/test/x402, written from the public specification."""
import base64
import json
import subprocess
import time

from harness import NODE, ROOT, Runner, expect, expect_equal, http, wait_for
from x402_test import CHAIN_ID, MINTED, PAYER, Shop, decoded, in_a, post, question, selector

CLIENT = ROOT / "tests/peers/x402_channel_client.mjs"
CHANNELS, COLLECTOR = "0x4020074e9df2ce1dee5a9c1b5c3f541d02a10003", "0x4020806089470a89826cb9fb1f4059150b550004"
DELAY = 86_400


class ChannelShop(Shop):
    """Whose channels are in the contracts at their published addresses."""

    def __init__(self, t, folder, chain):
        code = json.loads((ROOT / "contracts/test/x402/artifacts.json").read_text())["contracts"]
        account = chain.ask("eth_accounts")[0]

        def place(at, creation):
            tx = chain.ask("eth_sendTransaction", {"from": account, "data": creation, "gas": "0x4c4b40"})
            made = wait_for("a receipt", lambda: chain.ask("eth_getTransactionReceipt", tx))
            expect_equal(made["status"], "0x1", "a deployment")
            chain.ask("anvil_setCode", at, chain.ask("eth_getCode", made["contractAddress"], "latest"))
        place(CHANNELS, code["TestChannels"])
        place(COLLECTOR, code["TestCollector"] + f"{int(CHANNELS, 16):064x}")
        super().__init__(t, folder, chain)

    def arguments(self, name):
        return super().arguments(name) + (["--x402-channels", "published"] if name == "gateway" else [])

    def buy(self, *steps, memory=True):
        """What came back for each step: the reply, and the payments that were sent for it."""
        said = subprocess.run([NODE, CLIENT], cwd=ROOT / "tests/peers", capture_output=True, text=True, timeout=120,
                              input=json.dumps({"url": self.chat, "key": PAYER, "network": f"eip155:{CHAIN_ID}",
                                                "rpc": self.chain.url, "steps": steps,
                                                **({"folder": str(self.folder / "payer")} if memory else {})}))
        out, paying = [], []
        for line in said.stdout.splitlines():
            line = json.loads(line)
            if "paying" in line:
                paying.append(line["paying"])
            else:
                out.append(line | {"paying": paying})
                paying = []
        expect_equal(len(out), len(steps), f"replies: {said.stdout} {said.stderr}")
        return out

    def channels(self):
        if not hasattr(self, "key"):
            self.key = self.t.json("gateway", "keys", "add", "--name", "owner", "--data", self.folder / "g")["secret"]
        return http("GET", self.url("gateway") + "/assay/channels", headers={"authorization": f"Bearer {self.key}"})[1]["data"]

    def held(self):
        return self.dollars.balance(CHANNELS)


in_a_shop = in_a(ChannelShop)


def charged(reply):
    expect_equal(reply.get("status"), 200, f"the client: {reply}")
    return int(reply["settled"]["extra"]["chargedAmount"])


@in_a_shop
def the_public_client_pays_what_answers_cost(t, shop):
    asked = decoded(post(shop.chat, question("What is 27 + 48?"))[2], "PAYMENT-REQUIRED")
    expect_equal([a["scheme"] for a in asked["accepts"]], ["exact", "batch-settlement"], "what is accepted")
    price = int(asked["accepts"][1]["amount"])
    replies = shop.buy(*({"body": question(f"What is 2{n} + 48?", max_tokens=64)} for n in range(3)))
    costs = [charged(r) for r in replies]
    for reply, cost in zip(replies, costs):
        paid = json.loads(reply["text"])["assay"]["amount"]
        expect_equal(cost, round(float(paid) * 1e6) + 2_000, "charged: what the provider was paid, and the fee")
        expect_equal(len(reply["paying"]), 1, "payments for one answer")
    # One deposit for all of them; no transaction for those after the first.
    expect(replies[0]["settled"]["transaction"] and replies[1]["settled"]["transaction"] == "", f"settled: {replies}")
    deposit = int(replies[0]["settled"]["amount"])
    expect_equal((shop.held(), MINTED - shop.dollars.balance(shop.payer)), (deposit, deposit), "deposited")
    most = int(json.loads(base64.b64decode(replies[0]["paying"][0]))["accepted"]["amount"])
    expect(all(cost < most for cost in costs) and price > 0, f"charged {costs} of at most {most}")
    expect_equal(int(replies[2]["settled"]["extra"]["channelState"]["chargedCumulativeAmount"]), sum(costs), "charged in all")
    # The same request again is the same answer, and no money; its voucher for another is not.
    status, text, headers = post(shop.chat, question("What is 22 + 48?", max_tokens=64), replies[2]["paying"][0])
    expect_equal((status, text), (200, replies[2]["text"]), "the same request again")
    expect_equal(decoded(headers, "PAYMENT-RESPONSE")["extra"], replies[2]["settled"]["extra"], "its payment")
    status, _, headers = post(shop.chat, question("And 2 + 2?"), replies[2]["paying"][0])
    corrective = decoded(headers, "PAYMENT-REQUIRED")
    expect_equal((status, corrective["error"]), (402, "invalid_batch_settlement_evm_cumulative_amount_mismatch"), "a used voucher")
    expect_equal(corrective["accepts"][1]["extra"]["channelState"]["chargedCumulativeAmount"], str(sum(costs)), "corrected")
    expect_equal(shop.channels()[0]["charged"], f"{sum(costs) / 1e6:.6f}", "the gateway's own word")
    # A payer that forgot everything asks the chain, is corrected by its own voucher, and goes on.
    reply, = shop.buy({"body": question("What is 5 + 6?")}, memory=False)
    costs.append(charged(reply))
    expect_equal(len(reply["paying"]), 2, "payments of a payer that forgot")
    expect_equal(shop.held(), deposit, "deposited in all")
    # What is left comes back when it is asked for; what was charged stays for the gateway to claim.
    back, = shop.buy({"refund": None}, memory=False)
    expect_equal(back["settled"]["success"], True, f"a refund: {back}")
    expect_equal(int(back["settled"]["amount"]), deposit - sum(costs), "given back")
    expect_equal((shop.held(), MINTED - shop.dollars.balance(shop.payer)), (sum(costs), sum(costs)), "paid in the end")


@in_a_shop
def kill_9_neither_charges_twice_nor_loses_a_voucher(t, shop):
    first, = shop.buy({"body": question("What is 1 + 1?")})
    total = charged(first)
    # In the middle of the work, and whenever else: the same voucher gets the answer, charged once.
    for at in (0.05, 0.15, 0.3):
        body = question(f"Tell me a long story about {at}.", max_tokens=120)
        asking = subprocess.Popen([NODE, CLIENT], cwd=ROOT / "tests/peers", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        asking.stdin.write(json.dumps({"url": shop.chat, "key": PAYER, "network": f"eip155:{CHAIN_ID}", "rpc": shop.chain.url,
                                       "folder": str(shop.folder / "payer"), "steps": [{"body": body}]}))
        asking.stdin.close()
        payment = json.loads(asking.stdout.readline())["paying"]
        time.sleep(at)
        shop.kill("gateway")
        asking.kill()
        asking.wait(30)
        asking.stdout.close()
        asking.stderr.close()
        shop.start("gateway")

        def ask():
            status, text, headers = post(shop.chat, body, payment)
            return (text, decoded(headers, "PAYMENT-RESPONSE")) if status == 200 else None
        text, settled = wait_for("the same request to be answered", ask, timeout=60)
        total += int(settled["extra"]["chargedAmount"])
        expect_equal(settled["extra"]["channelState"]["chargedCumulativeAmount"], str(total), "charged in all")
        expect_equal(ask(), (text, settled), "and once more")
        # The client whose answer was fetched by others is corrected, and goes on.
        reply, = shop.buy({"body": question("What is 3 + 3?", max_tokens=4)})
        expect(len(reply["paying"]) <= 2, f"payments of a client that may have missed an answer: {reply}")
        total += charged(reply)
    # A payer begins to withdraw: the next process claims everything before it can.
    shop.kill("gateway")
    channel = json.loads(base64.b64decode(first["paying"][0]))["payload"]["channelConfig"]
    config = "".join(f"{int(channel[k], 16):064x}" for k in ("payer", "payerAuthorizer", "receiver", "receiverAuthorizer", "token"))
    config += f"{channel['withdrawDelay']:064x}" + channel["salt"][2:]
    types = "(address,address,address,address,address,uint40,bytes32)"
    left = shop.held() - total

    def by_payer(data):
        shop.chain.enrich(shop.payer)
        shop.chain.ask("anvil_impersonateAccount", shop.payer)
        tx = shop.chain.ask("eth_sendTransaction", {"from": shop.payer, "to": CHANNELS, "data": data, "gas": "0x4c4b40"})
        done = wait_for("a receipt", lambda: shop.chain.ask("eth_getTransactionReceipt", tx))
        expect_equal(done["status"], "0x1", "the payer's transaction")
    by_payer(selector(shop.chain, f"initiateWithdraw({types},uint128)") + config + f"{shop.held():064x}")
    shop.start("gateway")
    wait_for("the claim to be paid out", lambda: shop.dollars.balance(shop.seller) == total, timeout=90)
    shop.chain.ask("evm_increaseTime", DELAY + 1)
    shop.chain.ask("evm_mine")
    by_payer(selector(shop.chain, f"finalizeWithdraw({types})") + config)
    expect_equal((shop.held(), MINTED - shop.dollars.balance(shop.payer)), (0, total), "in the end")
    expect(left > 0, f"nothing was left to withdraw: {left}")


if __name__ == "__main__":
    Runner().run(the_public_client_pays_what_answers_cost, kill_9_neither_charges_twice_nor_loses_a_voucher)
