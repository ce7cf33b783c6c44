// In the place of cbor-x's optional native part, whose packages for other platforms not every
// registry has, without which `npm ci` refuses the lock file. cbor-x catches this and does without.
throw new Error("no native part");
