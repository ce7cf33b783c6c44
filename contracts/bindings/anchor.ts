// Written by contracts/scripts/bindings.mjs; do not edit.
export const anchorAbi = [
  {"type":"function","name":"anchor","inputs":[{"name":"origin","type":"bytes32","internalType":"bytes32"},{"name":"size","type":"uint64","internalType":"uint64"},{"name":"root","type":"bytes32","internalType":"bytes32"}],"outputs":[],"stateMutability":"nonpayable"},
  {"type":"event","name":"Anchored","inputs":[{"name":"by","type":"address","indexed":true,"internalType":"address"},{"name":"origin","type":"bytes32","indexed":true,"internalType":"bytes32"},{"name":"size","type":"uint64","indexed":true,"internalType":"uint64"},{"name":"root","type":"bytes32","indexed":false,"internalType":"bytes32"}],"anonymous":false},
] as const
