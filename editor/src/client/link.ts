/** One connection to the server: requests that are always answered, in time or with a fault. */

import { io, type Socket } from "socket.io-client";

import { type Ack, type Done, type Frame, type Problem, type Requests } from "./protocol";

/** A request that was refused; `problems` says why, each with its place. */
export class Refused extends Error {
  readonly problems: readonly Problem[];
  /** Of a push: how many items were taken all the same. */
  readonly accepted: number;

  constructor(problems: readonly Problem[], accepted = 0) {
    super(problems.map(({ message }) => message).join("\n") || "the server refused");
    this.problems = problems;
    this.accepted = accepted;
  }
}

export interface Listener {
  connected(): void;
  /** The connection went away; it is tried again by itself. */
  lost(): void;
  /** The server does not let us in. */
  refused(): void;
  frame(frame: Frame): void;
  done(done: Done): void;
}

const PATIENCE = 10_000; // milliseconds for an ordinary answer
const LONG = 90_000; // for one that waits until nodes are drained

export class Link {
  #socket: Socket;

  constructor(token: () => string, listener: Listener) {
    this.#socket = io(`${location.origin}/v1`, {
      transports: ["websocket"], // long-polling loses bursts
      auth: (send) => send({ token: token() }),
      reconnectionDelay: 250,
      reconnectionDelayMax: 3_000,
      autoConnect: false,
    });
    this.#socket.on("connect", () => listener.connected());
    this.#socket.on("disconnect", (reason) => {
      listener.lost();
      if (reason === "io server disconnect") setTimeout(() => this.#socket.connect(), 1_000);
    });
    this.#socket.on("connect_error", () => {
      if (!this.#socket.active) listener.refused();
      else listener.lost();
    });
    this.#socket.on("frame", (frame: Frame) => listener.frame(frame));
    this.#socket.on("done", (done: Done) => listener.done(done));
  }

  connect(): void {
    this.#socket.connect();
  }

  /**
   * Send a request and return what its acknowledgement holds.
   *
   * @throws Refused where the server says no, or says nothing in time.
   */
  async request<K extends keyof Requests>(event: K, body: Requests[K][0]): Promise<Requests[K][1]> {
    const patience = event === "apply" ? LONG : PATIENCE;
    let ack: Ack<Requests[K][1]>;
    try {
      ack = (await this.#socket.timeout(patience).emitWithAck(event, body)) as Ack<Requests[K][1]>;
    } catch {
      throw new Refused([{ path: [], code: "no_answer", message: "The server did not answer.", hint: "Is it still running?" }]);
    }
    if (!ack.ok) throw new Refused(ack.errors, ack.accepted);
    return ack;
  }

  /** Allow more frames; whether that arrived is seen by the frames. */
  credit(run: string, n: number): void {
    this.#socket.volatile.emit("credit", { run, n }, () => undefined);
  }
}
