// Written by contracts/scripts/bindings.mjs; do not edit.
export const programsAbi = [
  {"type":"function","name":"codeOf","inputs":[{"name":"program","type":"bytes32","internalType":"bytes32"}],"outputs":[{"name":"","type":"address","internalType":"address"}],"stateMutability":"view"},
  {"type":"function","name":"store","inputs":[{"name":"data","type":"bytes","internalType":"bytes"}],"outputs":[{"name":"program","type":"bytes32","internalType":"bytes32"}],"stateMutability":"nonpayable"},
  {"type":"event","name":"Stored","inputs":[{"name":"program","type":"bytes32","indexed":true,"internalType":"bytes32"},{"name":"code","type":"address","indexed":false,"internalType":"address"}],"anonymous":false},
  {"type":"error","name":"BadProgram","inputs":[]},
] as const
