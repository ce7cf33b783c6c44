// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// The numbers of request and statement in two words. All but the seed are 32 bits wide; floats are the bits of
/// binary32. `counts`, from bit 0: prompt count, continuation, answer count, max tokens, logprobs, seed (64 bits),
/// finish (`PROGRESS`: the statement has none; of a receipt `receiptFinish`). `sampling`, from bit 0: repetition, presence and frequency penalty,
/// temperature, top k, top p, min p.
library Terms {
    uint256 internal constant STOP = 0;
    uint256 internal constant LENGTH = 1;
    uint256 internal constant FAULTED = 2;
    uint256 internal constant CANCELLED = 3;
    uint256 internal constant UNKNOWN = 4;
    uint256 internal constant PROGRESS = type(uint32).max;

    /// The finish of a receipt: what nobody knows is one thing, whatever its number.
    function receiptFinish(uint32 finish_) internal pure returns (uint32) {
        return finish_ > CANCELLED ? uint32(UNKNOWN) : finish_;
    }

    function counts(
        uint32 prompt_,
        uint32 continuation_,
        uint32 answer_,
        uint32 maxTokens_,
        uint32 logprobs_,
        uint64 seed_,
        uint32 finish_
    ) internal pure returns (uint256) {
        return uint256(prompt_) | uint256(continuation_) << 32 | uint256(answer_) << 64 | uint256(maxTokens_) << 96
            | uint256(logprobs_) << 128 | uint256(seed_) << 160 | uint256(finish_) << 224;
    }

    function sampling(
        uint32 repetition_,
        uint32 presence_,
        uint32 frequency_,
        uint32 temperature_,
        uint32 topK_,
        uint32 topP_,
        uint32 minP_
    ) internal pure returns (uint256) {
        return uint256(repetition_) | uint256(presence_) << 32 | uint256(frequency_) << 64
            | uint256(temperature_) << 96 | uint256(topK_) << 128 | uint256(topP_) << 160 | uint256(minP_) << 192;
    }

    function prompt(uint256 c) internal pure returns (uint256) {
        return uint32(c);
    }

    function continuation(uint256 c) internal pure returns (uint256) {
        return uint32(c >> 32);
    }

    function answer(uint256 c) internal pure returns (uint256) {
        return uint32(c >> 64);
    }

    function maxTokens(uint256 c) internal pure returns (uint256) {
        return uint32(c >> 96);
    }

    function logprobs(uint256 c) internal pure returns (uint256) {
        return uint32(c >> 128);
    }

    function seed(uint256 c) internal pure returns (uint256) {
        return uint64(c >> 160);
    }

    function finish(uint256 c) internal pure returns (uint256) {
        return uint32(c >> 224);
    }

    function endsInFault(uint256 c) internal pure returns (bool) {
        return finish(c) == FAULTED;
    }

    /// Where tokens are chosen first: n − c − 1.
    function firstSampled(uint256 c) internal pure returns (uint256) {
        return prompt(c) - continuation(c) - 1;
    }

    function repetition(uint256 s) internal pure returns (uint256) {
        return uint32(s);
    }

    function presence(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 32);
    }

    function frequency(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 64);
    }

    function temperature(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 96);
    }

    function topK(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 128);
    }

    function topP(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 160);
    }

    function minP(uint256 s) internal pure returns (uint256) {
        return uint32(s >> 192);
    }
}
