// PGlite is one session for all its clients, and its socket server lets their messages mix: a Bind can meet another
// client's Parse. This stands before it and gives the session to one client at a time, from the first byte that it
// sends until the server is idle again (ReadyForQuery outside of a transaction), so that each sees its own answers.
import { connect, createServer } from "node:net";

export function serveInTurns(port, behind) {
  const waiting = [];
  let holder = null;
  const next = () => {
    holder = waiting.shift() ?? null;
    holder?.begin();
  };
  const leave = (client) => {
    if (holder === client) next();
    else if (waiting.includes(client)) waiting.splice(waiting.indexOf(client), 1);
  };

  const server = createServer((socket) => {
    const session = connect(behind, "127.0.0.1");
    const read = idleReader();
    let held = [];
    const client = { begin: () => held.splice(0).forEach((bytes) => session.write(bytes)) };
    socket.setNoDelay(true);
    session.setNoDelay(true);
    socket.on("data", (bytes) => {
      if (holder === client) return session.write(bytes);
      held.push(bytes);
      if (!waiting.includes(client)) waiting.push(client);
      if (holder === null) next();
    });
    session.on("data", (bytes) => {
      const idle = read(bytes);
      socket.write(bytes);
      if (idle && holder === client) next();
    });
    const end = () => {
      socket.destroy();
      session.destroy();
    };
    for (const one of [socket, session]) one.on("error", end).on("close", end);
    // The turn ends when PGlite's side is closed: it has rolled back by then what was open.
    session.on("close", () => setTimeout(() => leave(client), 20));
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

// Return a function that takes the server's bytes and says whether they end with the server idle.
function idleReader() {
  let rest = Buffer.alloc(0);
  let framed = false;
  return (bytes) => {
    // The answer to a request for encryption is one bare letter.
    if (!framed && bytes.length === 1) return true;
    framed = true;
    rest = Buffer.concat([rest, bytes]);
    let idle = false;
    while (rest.length >= 5 && rest.length >= 1 + rest.readUInt32BE(1)) {
      const length = 1 + rest.readUInt32BE(1);
      idle = rest[0] === 0x5a && rest[5] === 0x49;
      rest = rest.subarray(length);
    }
    return idle && rest.length === 0;
  };
}
