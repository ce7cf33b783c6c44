// Written by contracts/scripts/bindings.mjs; do not edit.
export const registryAbi = [
  {"type":"function","name":"attest","inputs":[{"name":"execution","type":"bytes32","internalType":"bytes32"},{"name":"file","type":"bytes32","internalType":"bytes32"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"attest","inputs":[{"name":"m","type":"tuple","internalType":"struct Attestation","components":[{"name":"by","type":"address","internalType":"address"},{"name":"execution","type":"bytes32","internalType":"bytes32"},{"name":"file","type":"bytes32","internalType":"bytes32"},{"name":"sequence","type":"uint64","internalType":"uint64"}]},{"name":"signature","type":"bytes","internalType":"bytes"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"domainSeparator","inputs":[],"outputs":[{"name":"","type":"bytes32","internalType":"bytes32"}],"stateMutability":"view"},
  {"type":"function","name":"fileOf","inputs":[{"name":"by","type":"address","internalType":"address"},{"name":"execution","type":"bytes32","internalType":"bytes32"}],"outputs":[{"name":"file","type":"bytes32","internalType":"bytes32"},{"name":"sequence","type":"uint64","internalType":"uint64"},{"name":"at","type":"uint64","internalType":"uint64"}],"stateMutability":"view"},
  {"type":"event","name":"Attested","inputs":[{"name":"by","type":"address","indexed":true,"internalType":"address"},{"name":"execution","type":"bytes32","indexed":true,"internalType":"bytes32"},{"name":"file","type":"bytes32","indexed":true,"internalType":"bytes32"},{"name":"sequence","type":"uint64","indexed":false,"internalType":"uint64"}],"anonymous":false},
  {"type":"error","name":"NotSigned","inputs":[]},
  {"type":"error","name":"Stale","inputs":[{"name":"sequence","type":"uint64","internalType":"uint64"}]},
] as const
