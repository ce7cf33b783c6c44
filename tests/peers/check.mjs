// What the programs here print for e2e tests: "ok NAME" or "FAIL NAME: why" for each check.
let failed = 0;

export async function check(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message.split("\n")[0]}`);
  }
}
export const finish = () => process.exit(failed ? 1 : 0);
