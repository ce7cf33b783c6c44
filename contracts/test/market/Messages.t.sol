// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "../../src/market/Domain.sol";
import "../../src/market/Messages.sol";
import {AuditHashes} from "../audits/AuditHashes.sol";
import {Test} from "../Vm.sol";

/// Struct hashes of messages in calldata, as the contracts take them.
contract Hashes {
    function execution(ExecutionId calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function offerModel(OfferModel calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function offer(Offer calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function request(Request calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function progress(Receipt calldata m) external pure returns (bytes32) {
        return Messages.hashProgress(m);
    }

    /// Of a message all of whose members have a fixed size; its words in their order.
    function flat(string calldata name, bytes calldata words) external view returns (bytes32) {
        bytes32 n = keccak256(bytes(name));
        if (n == keccak256("Lease")) return this.lease(abi.decode(words, (Lease)));
        if (n == keccak256("Receipt")) return this.receipt(abi.decode(words, (Receipt)));
        if (n == keccak256("Settlement")) return this.settlement(abi.decode(words, (Settlement)));
        if (n == keccak256("Claim")) return this.claim(abi.decode(words, (Claim)));
        if (n == keccak256("Withdraw")) return this.withdraw(abi.decode(words, (Withdraw)));
        if (n == keccak256("Transfer")) return this.transfer(abi.decode(words, (Transfer)));
        if (n == keccak256("Stake")) return this.stake(abi.decode(words, (Stake)));
        if (n == keccak256("Unbond")) return this.unbond(abi.decode(words, (Unbond)));
        if (n == keccak256("Release")) return this.release(abi.decode(words, (Release)));
        if (n == keccak256("TopUp")) return this.topUp(abi.decode(words, (TopUp)));
        if (n == keccak256("Finalize")) return this.finalize(abi.decode(words, (Finalize)));
        if (n == keccak256("Close")) return this.close(abi.decode(words, (Close)));
        if (n == keccak256("Dispute")) return this.dispute(abi.decode(words, (Dispute)));
        if (n == keccak256("Move")) return this.move(abi.decode(words, (Move)));
        if (n == keccak256("Answer")) return this.answer(abi.decode(words, (Answer)));
        if (n == keccak256("CommitDispute")) return this.commit(abi.decode(words, (CommitDispute)));
        if (n == keccak256("Timeout")) return this.timeout(abi.decode(words, (Timeout)));
        if (n == keccak256("Equivocation")) return this.equivocation(abi.decode(words, (Equivocation)));
        if (n == keccak256("Demand")) return this.demand(abi.decode(words, (Demand)));
        if (n == keccak256("Delivery")) return this.delivery(abi.decode(words, (Delivery)));
        if (n == keccak256("DeliveryReport")) return this.report(abi.decode(words, (DeliveryReport)));
        return 0;
    }

    function lease(Lease calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function receipt(Receipt calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function settlement(Settlement calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function claim(Claim calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function withdraw(Withdraw calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function transfer(Transfer calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function stake(Stake calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function unbond(Unbond calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function release(Release calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function topUp(TopUp calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function finalize(Finalize calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function close(Close calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function dispute(Dispute calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function move(Move calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function answer(Answer calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function commit(CommitDispute calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function timeout(Timeout calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function equivocation(Equivocation calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function demand(Demand calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function delivery(Delivery calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function report(DeliveryReport calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function separator(address market) external view returns (bytes32) {
        return Domain.separator(market);
    }

    function digest(address market, bytes32 structHash) external view returns (bytes32) {
        return Domain.digest(market, structHash);
    }

    function checkSigned(address signer, bytes32 id, bytes calldata signature) external view {
        Domain.checkSigned(signer, id, signature);
    }
}

/// spec/vectors/messages/signed.json, which C++ wrote: every message of the contracts has the same struct hash and
/// digest here, and the signatures hold.
contract MessagesTest is Test {
    Hashes private hashes;
    AuditHashes private auditHashes;
    string private json;

    function setUp() public {
        hashes = new Hashes();
        auditHashes = new AuditHashes();
        json = vm.readFile(string.concat(vm.projectRoot(), "/../spec/vectors/messages/signed.json"));
    }

    function test_structHashesDigestsAndSignatures() public {
        uint256 checked = 0;
        uint256 digests = 0;
        for (uint256 i = 0; vm.keyExistsJson(json, at(i)); ++i) {
            string memory name = vm.parseJsonString(json, member(i, "type"));
            bytes32 found = structHash(name, i);
            if (found == 0) continue;
            vm.assertEq(found, vm.parseJsonBytes32(json, member(i, "struct_hash")), name);
            ++checked;
            if (!vm.keyExistsJson(json, member(i, "domain.chainId"))) continue;
            vm.chainId(vm.parseJsonUint(json, member(i, "domain.chainId")));
            address contract_ = vm.parseJsonAddress(json, member(i, "domain.verifyingContract"));
            vm.assertEq(
                hashes.separator(contract_), vm.parseJsonBytes32(json, member(i, "domain_separator")), "domain separator"
            );
            bytes32 id = hashes.digest(contract_, found);
            vm.assertEq(id, vm.parseJsonBytes32(json, member(i, "digest")), "digest");
            hashes.checkSigned(
                vm.parseJsonAddress(json, member(i, "signer")), id, vm.parseJsonBytes(json, member(i, "signature"))
            );
            ++digests;
        }
        vm.assertEq(checked, 70, "messages checked");
        vm.assertEq(digests, 35, "digests checked");
    }

    function structHash(string memory name, uint256 i) private view returns (bytes32) {
        bytes32 n = keccak256(bytes(name));
        if (n == keccak256("ExecutionId")) {
            return hashes.execution(abi.decode(words(i, "message", typeOf(i)), (ExecutionId)));
        }
        if (n == keccak256("Progress")) {
            Progress memory p = abi.decode(words(i, "message", typeOf(i)), (Progress));
            Receipt memory r;
            (r.request, r.count, r.tape_root) = (p.request, p.count, p.tape_root);
            (r.trace_root, r.logprobs_root, r.amount) = (p.trace_root, p.logprobs_root, p.amount);
            (r.finish, r.key_sequence, r.evidence) = (7, 8, "nothing of these counts");
            return hashes.progress(r);
        }
        if (n == keccak256("Offer")) return hashes.offer(offerOf(i));
        if (n == keccak256("Request")) return hashes.request(requestOf(i));
        if (!known(n)) return 0;
        bytes memory flat = words(i, "message", typeOf(i));
        bytes32 audits = auditHashes.flat(name, flat);
        return audits != 0 ? audits : hashes.flat(name, flat);
    }

    /// What the contracts do not take: deposits by a host, agreements between parties, and buyers' reports of latency.
    function known(bytes32 n) private pure returns (bool) {
        string[7] memory not = [
            "Deposit", "Handover", "Rebate", "RebateAcceptance", "OfferModel", "LogitBias", "LatencyReport"
        ];
        for (uint256 i = 0; i < not.length; ++i) if (keccak256(bytes(not[i])) == n) return false;
        return true;
    }

    function offerOf(uint256 i) private view returns (Offer memory m) {
        string memory path = member(i, "message");
        m.provider = vm.parseJsonAddress(json, string.concat(path, ".provider"));
        m.payout = vm.parseJsonAddress(json, string.concat(path, ".payout"));
        m.sequence = uint64(number(path, ".sequence"));
        m.endpoint = text(path, ".endpoint");
        m.region = text(path, ".region");
        m.hardware = text(path, ".hardware");
        m.vram_mib = uint32(number(path, ".vram_mib"));
        m.slots = uint32(number(path, ".slots"));
        m.first_token_ms = uint32(number(path, ".first_token_ms"));
        m.per_token_ms = uint32(number(path, ".per_token_ms"));
        m.rebate_ppm = uint32(number(path, ".rebate_ppm"));
        m.tls_key = vm.parseJsonBytes32(json, string.concat(path, ".tls_key"));
        m.evidence = vm.parseJsonBytes32(json, string.concat(path, ".evidence"));
        m.expires = uint64(number(path, ".expires"));
        uint256 count = 0;
        while (vm.keyExistsJson(json, string.concat(path, ".models[", vm.toString(count), "]"))) ++count;
        m.models = new bytes32[](count);
        for (uint256 k = 0; k < count; ++k) {
            m.models[k] = hashes.offerModel(modelOf(string.concat(path, ".models[", vm.toString(k), "]")));
        }
    }

    function modelOf(string memory path) private view returns (OfferModel memory m) {
        m.name = text(path, ".name");
        m.weights_root = vm.parseJsonBytes32(json, string.concat(path, ".weights_root"));
        m.program_hash = vm.parseJsonBytes32(json, string.concat(path, ".program_hash"));
        m.canon = uint32(number(path, ".canon"));
        m.file_alias = vm.parseJsonBytes32(json, string.concat(path, ".file_alias"));
        m.quantization = text(path, ".quantization");
        m.price_in = uint128(number(path, ".price_in"));
        m.price_out = uint128(number(path, ".price_out"));
        m.context = uint32(number(path, ".context"));
    }

    function requestOf(uint256 i) private view returns (Request memory m) {
        string memory path = member(i, "message");
        m.lease = vm.parseJsonBytes32(json, string.concat(path, ".lease"));
        m.sequence = uint64(number(path, ".sequence"));
        m.execution = vm.parseJsonBytes32(json, string.concat(path, ".execution"));
        m.prompt_root = vm.parseJsonBytes32(json, string.concat(path, ".prompt_root"));
        m.prompt_count = uint32(number(path, ".prompt_count"));
        m.continuation = uint32(number(path, ".continuation"));
        uint256 count = 0;
        while (vm.keyExistsJson(json, string.concat(path, ".logit_bias[", vm.toString(count), "]"))) ++count;
        m.logit_bias = new LogitBias[](count);
        for (uint256 k = 0; k < count; ++k) {
            string memory bias = string.concat(path, ".logit_bias[", vm.toString(k), "]");
            m.logit_bias[k] = LogitBias(uint32(number(bias, ".token")), uint32(number(bias, ".bias_bits")));
        }
        m.repetition_penalty_bits = uint32(number(path, ".repetition_penalty_bits"));
        m.presence_penalty_bits = uint32(number(path, ".presence_penalty_bits"));
        m.frequency_penalty_bits = uint32(number(path, ".frequency_penalty_bits"));
        m.temperature_bits = uint32(number(path, ".temperature_bits"));
        m.constraint = vm.parseJsonBytes32(json, string.concat(path, ".constraint"));
        m.top_k = uint32(number(path, ".top_k"));
        m.top_p_bits = uint32(number(path, ".top_p_bits"));
        m.min_p_bits = uint32(number(path, ".min_p_bits"));
        m.seed = uint64(number(path, ".seed"));
        m.max_tokens = uint32(number(path, ".max_tokens"));
        m.logprobs = uint32(number(path, ".logprobs"));
        m.stop_root = vm.parseJsonBytes32(json, string.concat(path, ".stop_root"));
        m.salt_commitment = vm.parseJsonBytes32(json, string.concat(path, ".salt_commitment"));
        m.cap = uint128(number(path, ".cap"));
        m.expires = uint64(number(path, ".expires"));
    }

    /// The words of a flat message, in the order of its type string.
    function words(uint256 i, string memory where, string memory type_) private view returns (bytes memory out) {
        bytes memory t = bytes(type_);
        uint256 from = 0;
        while (t[from] != "(") ++from;
        ++from;
        while (from < t.length && t[from - 1] != ")") {
            uint256 space = from;
            while (t[space] != " ") ++space;
            uint256 end = space;
            while (t[end] != "," && t[end] != ")") ++end;
            string memory path = string.concat(member(i, where), ".", string(slice(t, space + 1, end)));
            bytes1 kind = t[from];
            // "bool" and "string" beside "bytes32".
            if (kind == "b" && t[from + 1] == "o") out = abi.encodePacked(out, abi.encode(vm.parseJsonBool(json, path)));
            else if (kind == "s") out = abi.encodePacked(out, keccak256(bytes(vm.parseJsonString(json, path))));
            else if (kind == "a") out = abi.encodePacked(out, abi.encode(vm.parseJsonAddress(json, path)));
            else if (kind == "u") out = abi.encodePacked(out, vm.parseJsonUint(json, path));
            else out = abi.encodePacked(out, vm.parseJsonBytes32(json, path));
            from = end + 1;
        }
    }

    function slice(bytes memory b, uint256 from, uint256 end) private pure returns (bytes memory out) {
        out = new bytes(end - from);
        for (uint256 i = from; i < end; ++i) out[i - from] = b[i];
    }

    function at(uint256 i) private pure returns (string memory) {
        return string.concat("$[", vm.toString(i), "]");
    }

    function member(uint256 i, string memory what) private pure returns (string memory) {
        return string.concat(at(i), ".", what);
    }

    function typeOf(uint256 i) private view returns (string memory) {
        return vm.parseJsonString(json, member(i, "type_string"));
    }

    function number(string memory path, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(path, name));
    }

    function text(string memory path, string memory name) private view returns (bytes32) {
        return keccak256(bytes(vm.parseJsonString(json, string.concat(path, name))));
    }
}
