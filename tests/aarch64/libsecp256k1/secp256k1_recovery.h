// The npm package carries libsecp256k1 of 2019, whose contexts must be told what they are for.
#pragma once
#include_next <secp256k1_recovery.h>
#undef SECP256K1_CONTEXT_NONE
#define SECP256K1_CONTEXT_NONE (SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY)
