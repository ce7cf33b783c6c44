"""Auditors that compute nothing, on a chain: one gives the nonce of its keyed tree away and is reported, one copies a
commitment and cannot answer a check, one passes a canary. All three act through the market's relay, and lose their stakes."""
import json
import time

from evm_auditor_test import FEE, PASS, STAKE, Market, nothing_reverted
from harness import MODEL, WORSE, Folder, Runner, Service, expect, expect_equal, wait_for


def shirk(market, name, attack):
    market.key(name, "3.00")
    market.services[name] = Service(
        market.t, "attack", attack, "--execution", market.execution(), "--market", market.url("market"), "--key",
        market.folder / f"{name}.key", "--stake", "2.00", log=market.folder / f"{name}.log", env=PASS)
    return market.services[name]


def slashed(market, name):
    account = market.account(name)
    return account["stake"] == "0" and account["convictions"] == "1"


def sellers_and_copiers_are_slashed(t):
    with Folder() as folder:
        market = Market(t, folder)
        try:
            market.start("market")
            for name, amount in (("buyer", "10.00"), ("reporter", "1.00"), ("alder", "5.00")):
                market.key(name, amount)
            market.start("alder")
            shirk(market, "copier", "auditor-copy")
            selling = shirk(market, "seller", "auditor-sell")
            time.sleep(1.1)
            market.start("beacon")
            market.spot_check = 1
            market.start("buyer")
            market.blocks_by_the_clock()
            expect_equal(market.buy()[0], 200, "an answer")
            sold = json.loads(selling.process.stdout.readline())
            report = ["auditor", "report", "--audit", sold["audit"], "--market", market.url("market"), "--key",
                      folder / "reporter.key"]
            wrong = t.cli(*report, "--auditor", market.address["copier"], "--nonce", "0x" + "11" * 32, env=market.env, code=1)
            expect("another nonce" in wrong.stderr, f"a wrong nonce: {wrong.stderr}")
            t.cli(*report, "--auditor", market.address["seller"], "--nonce", sold["sold"], env=market.env)
            expect(slashed(market, "seller"), "the seller keeps its stake")
            wait_for("the copier's stake", lambda: slashed(market, "copier"), 120)
            # Nobody is left to hire: the buyer looks itself.
            (row,) = market.await_rows(("settled",), 120)
            expect_equal(row["audit"], "match", str(row))
            expect(market.address["copier"] not in row["reason"], row["reason"])
            expect_equal(market.totals()["audit_fees"], 0, "fees that are still held")
            nothing_reverted(market)
        finally:
            market.close()


def canaries_tell_who_computes(t):
    with Folder() as folder:
        market = Market(t, folder, beacon_of="oracle")
        try:
            market.start("market")
            for name, amount in (("ada", "3.00"), ("partner", "2.00"), ("owner", "5.00")):
                market.key(name, amount)
            market.start("ada")
            shirk(market, "lazy", "auditor-lazy")
            time.sleep(1.1)
            market.start("beacon")
            market.blocks_by_the_clock()
            result = t.json("auditor", "canary", "--serve", WORSE, "--claim", MODEL, "--market", market.url("market"), "--key",
                            folder / "owner.key", "--provider-key", folder / "partner.key", "--stake", "1.00", "--auditors", 2,
                            "--threads", 1, timeout=200, env=market.env)
            found = {r["auditor"]: (r["verdict"], r["convicted"]) for r in result["auditors"]}
            expect_equal(found, {market.address["ada"]: ("fail", False), market.address["lazy"]: ("pass", True)}, "verdicts")
            expect(slashed(market, "lazy"), "who passed the canary keeps its stake")
            # Who laid it loses nothing, whatever the honest auditor's dispute does; and that one is paid for its fail.
            partner = market.account("partner")
            expect_equal((partner["stake"], partner["convictions"]), ("1000000", "0"), "the canary's provider")
            wait_for("the fee", lambda: int(market.account("ada")["available"]) >= 1_000_000 + FEE, 60)
            expect_equal(market.account("ada")["stake"], str(STAKE), "the honest auditor's stake")
            market.totals()
            nothing_reverted(market)
        finally:
            market.close()


if __name__ == "__main__":
    Runner().run(sellers_and_copiers_are_slashed, canaries_tell_who_computes)
