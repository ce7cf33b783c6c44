// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// The signed messages of spec/messages.md, with the names they have there: an EIP-712 struct and its ABI encoding
// list the same members in the same order, so that a client which has one has the other.

struct ExecutionId {
    bytes32 weights_root;
    bytes32 program_hash;
    uint32 canon;
}

/// An OfferModel with its texts hashed, which is all that a digest needs of them.
struct OfferModel {
    bytes32 name;
    bytes32 weights_root;
    bytes32 program_hash;
    uint32 canon;
    bytes32 file_alias;
    bytes32 quantization;
    uint128 price_in;
    uint128 price_out;
    uint32 context;
}

/// An Offer with its texts and models hashed.
struct Offer {
    address provider;
    address payout;
    uint64 sequence;
    bytes32 endpoint;
    bytes32 region;
    bytes32 hardware;
    uint32 vram_mib;
    uint32 slots;
    uint32 first_token_ms;
    uint32 per_token_ms;
    uint32 rebate_ppm;
    bytes32 tls_key;
    bytes32 evidence;
    uint64 expires;
    bytes32[] models;
}

struct Lease {
    address buyer;
    address provider;
    address payout;
    bytes32 offer;
    bytes32 execution;
    uint128 price_in;
    uint128 price_out;
    uint128 escrow;
    bytes32 audit_chain;
    uint32 disclosure;
    uint64 window;
    uint64 expires;
    uint64 nonce;
}

struct LogitBias {
    uint32 token;
    uint32 bias_bits;
}

struct Request {
    bytes32 lease;
    uint64 sequence;
    bytes32 execution;
    bytes32 prompt_root;
    uint32 prompt_count;
    uint32 continuation;
    LogitBias[] logit_bias;
    uint32 repetition_penalty_bits;
    uint32 presence_penalty_bits;
    uint32 frequency_penalty_bits;
    uint32 temperature_bits;
    bytes32 constraint;
    uint32 top_k;
    uint32 top_p_bits;
    uint32 min_p_bits;
    uint64 seed;
    uint32 max_tokens;
    uint32 logprobs;
    bytes32 stop_root;
    bytes32 salt_commitment;
    uint128 cap;
    uint64 expires;
}

/// A Request with its biases hashed, which is all that its digest needs of them: of one size, whatever was asked for.
struct HashedRequest {
    bytes32 lease;
    uint64 sequence;
    bytes32 execution;
    bytes32 prompt_root;
    uint32 prompt_count;
    uint32 continuation;
    bytes32 logit_bias;
    uint32 repetition_penalty_bits;
    uint32 presence_penalty_bits;
    uint32 frequency_penalty_bits;
    uint32 temperature_bits;
    bytes32 constraint;
    uint32 top_k;
    uint32 top_p_bits;
    uint32 min_p_bits;
    uint64 seed;
    uint32 max_tokens;
    uint32 logprobs;
    bytes32 stop_root;
    bytes32 salt_commitment;
    uint128 cap;
    uint64 expires;
}

struct Progress {
    bytes32 request;
    uint32 count;
    bytes32 tape_root;
    bytes32 trace_root;
    bytes32 logprobs_root;
    uint128 amount;
}

struct Receipt {
    bytes32 request;
    uint32 count;
    uint32 finish;
    bytes32 tape_root;
    bytes32 trace_root;
    bytes32 logprobs_root;
    uint128 amount;
    uint64 key_sequence;
    bytes32 evidence;
}

struct Settlement {
    bytes32 lease;
    uint128 cumulative;
}

struct Claim {
    bytes32 lease;
    bytes32 root;
    uint128 total;
    uint32 count;
}

struct Withdraw {
    address account;
    uint128 amount;
    uint64 nonce;
}

struct Transfer {
    address account;
    address to;
    uint128 amount;
    uint64 nonce;
}

struct Stake {
    address account;
    uint128 amount;
    uint64 nonce;
}

struct Unbond {
    address account;
    uint128 amount;
    uint64 nonce;
}

struct Release {
    address account;
    uint64 nonce;
}

struct TopUp {
    address buyer;
    bytes32 lease;
    uint128 amount;
    uint64 nonce;
}

struct Finalize {
    address account;
    bytes32 claim;
}

struct Close {
    address account;
    bytes32 lease;
}

struct Dispute {
    address challenger;
    bytes32 lease;
    bytes32 subject;
    uint128 bond;
    uint64 nonce;
}

struct Move {
    bytes32 dispute;
    uint32 number;
    bytes32 state;
    bytes32 payload;
}

struct Answer {
    address account;
    bytes32 contest;
}

struct CommitDispute {
    address account;
    bytes32 commitment;
    uint64 nonce;
}

struct Timeout {
    address account;
    bytes32 dispute;
}

struct Equivocation {
    address challenger;
    bytes32 lease;
    bytes32 first;
    bytes32 second;
}

struct Demand {
    address buyer;
    bytes32 lease;
    bytes32 subject;
    uint128 bond;
    uint64 nonce;
}

struct Delivery {
    address provider;
    bytes32 demand;
    bytes32 answer;
}

struct DeliveryReport {
    address buyer;
    bytes32 demand;
    bytes32 salt_secret;
}

/// Struct hashes. A struct of fixed members is encoded by EIP-712 as by the ABI, word for word.
library Messages {
    bytes32 internal constant EXECUTION_ID =
        keccak256("ExecutionId(bytes32 weights_root,bytes32 program_hash,uint32 canon)");
    bytes32 internal constant OFFER_MODEL = keccak256(
        "OfferModel(string name,bytes32 weights_root,bytes32 program_hash,uint32 canon,bytes32 file_alias,string quantization,uint128 price_in,uint128 price_out,uint32 context)"
    );
    bytes32 internal constant OFFER = keccak256(
        "Offer(address provider,address payout,uint64 sequence,string endpoint,string region,string hardware,uint32 vram_mib,uint32 slots,uint32 first_token_ms,uint32 per_token_ms,uint32 rebate_ppm,bytes32 tls_key,bytes32 evidence,uint64 expires,OfferModel[] models)OfferModel(string name,bytes32 weights_root,bytes32 program_hash,uint32 canon,bytes32 file_alias,string quantization,uint128 price_in,uint128 price_out,uint32 context)"
    );
    bytes32 internal constant LEASE = keccak256(
        "Lease(address buyer,address provider,address payout,bytes32 offer,bytes32 execution,uint128 price_in,uint128 price_out,uint128 escrow,bytes32 audit_chain,uint32 disclosure,uint64 window,uint64 expires,uint64 nonce)"
    );
    bytes32 internal constant LOGIT_BIAS = keccak256("LogitBias(uint32 token,uint32 bias_bits)");
    bytes32 internal constant REQUEST = keccak256(
        "Request(bytes32 lease,uint64 sequence,bytes32 execution,bytes32 prompt_root,uint32 prompt_count,uint32 continuation,LogitBias[] logit_bias,uint32 repetition_penalty_bits,uint32 presence_penalty_bits,uint32 frequency_penalty_bits,uint32 temperature_bits,bytes32 constraint,uint32 top_k,uint32 top_p_bits,uint32 min_p_bits,uint64 seed,uint32 max_tokens,uint32 logprobs,bytes32 stop_root,bytes32 salt_commitment,uint128 cap,uint64 expires)LogitBias(uint32 token,uint32 bias_bits)"
    );
    bytes32 internal constant PROGRESS = keccak256(
        "Progress(bytes32 request,uint32 count,bytes32 tape_root,bytes32 trace_root,bytes32 logprobs_root,uint128 amount)"
    );
    bytes32 internal constant RECEIPT = keccak256(
        "Receipt(bytes32 request,uint32 count,uint32 finish,bytes32 tape_root,bytes32 trace_root,bytes32 logprobs_root,uint128 amount,uint64 key_sequence,bytes32 evidence)"
    );
    bytes32 internal constant SETTLEMENT = keccak256("Settlement(bytes32 lease,uint128 cumulative)");
    bytes32 internal constant CLAIM = keccak256("Claim(bytes32 lease,bytes32 root,uint128 total,uint32 count)");
    bytes32 internal constant WITHDRAW = keccak256("Withdraw(address account,uint128 amount,uint64 nonce)");
    bytes32 internal constant TRANSFER = keccak256("Transfer(address account,address to,uint128 amount,uint64 nonce)");
    bytes32 internal constant STAKE = keccak256("Stake(address account,uint128 amount,uint64 nonce)");
    bytes32 internal constant UNBOND = keccak256("Unbond(address account,uint128 amount,uint64 nonce)");
    bytes32 internal constant RELEASE = keccak256("Release(address account,uint64 nonce)");
    bytes32 internal constant TOP_UP = keccak256("TopUp(address buyer,bytes32 lease,uint128 amount,uint64 nonce)");
    bytes32 internal constant FINALIZE = keccak256("Finalize(address account,bytes32 claim)");
    bytes32 internal constant CLOSE = keccak256("Close(address account,bytes32 lease)");
    bytes32 internal constant DISPUTE =
        keccak256("Dispute(address challenger,bytes32 lease,bytes32 subject,uint128 bond,uint64 nonce)");
    bytes32 internal constant MOVE = keccak256("Move(bytes32 dispute,uint32 number,bytes32 state,bytes32 payload)");
    bytes32 internal constant ANSWER = keccak256("Answer(address account,bytes32 contest)");
    bytes32 internal constant COMMIT_DISPUTE =
        keccak256("CommitDispute(address account,bytes32 commitment,uint64 nonce)");
    bytes32 internal constant TIMEOUT = keccak256("Timeout(address account,bytes32 dispute)");
    bytes32 internal constant EQUIVOCATION =
        keccak256("Equivocation(address challenger,bytes32 lease,bytes32 first,bytes32 second)");
    bytes32 internal constant DEMAND =
        keccak256("Demand(address buyer,bytes32 lease,bytes32 subject,uint128 bond,uint64 nonce)");
    bytes32 internal constant DELIVERY = keccak256("Delivery(address provider,bytes32 demand,bytes32 answer)");
    bytes32 internal constant DELIVERY_REPORT =
        keccak256("DeliveryReport(address buyer,bytes32 demand,bytes32 salt_secret)");

    function hash(ExecutionId memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(EXECUTION_ID, m));
    }

    function hash(OfferModel calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(OFFER_MODEL, at, 9);
    }

    function hash(Offer calldata m) internal pure returns (bytes32 result) {
        bytes32 models = keccak256(abi.encodePacked(m.models));
        bytes32 typeHash = OFFER;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            calldatacopy(add(buffer, 32), m, 480)
            mstore(add(buffer, 480), models) // member 14, instead of where the list lies
            result := keccak256(buffer, 512)
        }
    }

    function hash(Lease calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(LEASE, at, 13);
    }

    function hash(Request calldata m) internal pure returns (bytes32 result) {
        bytes32 biases = hash(m.logit_bias);
        bytes32 typeHash = REQUEST;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            calldatacopy(add(buffer, 32), m, 704)
            mstore(add(buffer, 224), biases) // member 6, instead of where the list lies
            result := keccak256(buffer, 736)
        }
    }

    function hash(HashedRequest calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(REQUEST, at, 22);
    }

    /// The same request for what does not read its biases: there lies their place in the list, not their hash.
    function withoutBiases(Request calldata m) internal pure returns (HashedRequest calldata out) {
        assembly ("memory-safe") { out := m }
    }

    function hash(LogitBias[] calldata biases) internal pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](biases.length);
        for (uint256 i = 0; i < biases.length; ++i) {
            hashes[i] = keccak256(abi.encode(LOGIT_BIAS, biases[i]));
        }
        return keccak256(abi.encodePacked(hashes));
    }

    function hash(Receipt calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(RECEIPT, at, 9);
    }

    /// Of the Progress that has these figures.
    function hashProgress(Receipt calldata m) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(PROGRESS, m.request, m.count, m.tape_root, m.trace_root, m.logprobs_root, m.amount)
        );
    }

    function hash(Settlement calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(SETTLEMENT, at, 2);
    }

    function hash(Claim calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(CLAIM, at, 4);
    }

    function hash(Withdraw calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(WITHDRAW, at, 3);
    }

    function hash(Transfer calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(TRANSFER, at, 4);
    }

    function hash(Stake calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(STAKE, at, 3);
    }

    function hash(Unbond calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(UNBOND, at, 3);
    }

    function hash(Release calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(RELEASE, at, 2);
    }

    function hash(TopUp calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(TOP_UP, at, 4);
    }

    function hash(Finalize calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(FINALIZE, at, 2);
    }

    function hash(Close calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(CLOSE, at, 2);
    }

    function hash(Dispute calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(DISPUTE, at, 5);
    }

    function hash(Move memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(MOVE, m));
    }

    function hash(Answer calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(ANSWER, at, 2);
    }

    function hash(CommitDispute calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(COMMIT_DISPUTE, at, 3);
    }

    function hash(Timeout calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(TIMEOUT, at, 2);
    }

    function hash(Equivocation calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(EQUIVOCATION, at, 4);
    }

    function hash(Demand calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(DEMAND, at, 5);
    }

    function hash(Delivery calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(DELIVERY, at, 3);
    }

    function hash(DeliveryReport calldata m) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") { at := m }
        return words(DELIVERY_REPORT, at, 3);
    }

    /// Of `count` members that lie in calldata as they are hashed. A member wider than its type is hashed as it lies
    /// there: nobody has signed that.
    function words(bytes32 typeHash, uint256 at, uint256 count) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, typeHash)
            calldatacopy(add(buffer, 32), at, shl(5, count))
            result := keccak256(buffer, add(32, shl(5, count)))
        }
    }
}
