// How a question reaches Python, and how its answer comes back: over HTTP from `npmaskrcnn explore`, or from a web
// worker in which the same Python runs. Both have one method, ask(request, blob) -> {answer, arrays}; whoever asks
// need not know which it is. What the bytes of an answer mean is said in packing.py.

const KINDS = {uint8: Uint8Array, int32: Int32Array, float32: Float32Array};

/** Take a message apart: {answer, arrays}, each array {data, shape}, looking into the message without a copy. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const {name, dtype, shape, offset} of head.arrays) {
    const count = shape.reduce((product, side) => product * side, 1);
    arrays[name] = {data: new KINDS[dtype](buffer, 4 + length + offset, count), shape};
  }
  return {answer: head.answer, arrays};
}

const failure = line => ({answer: {error: line}, arrays: {}});

/** Asks the server that has sent the page. */
export class HttpTransport {
  readsFiles = true; // Pillow is there
  async ask(request, blob) {
    try {
      const response = await fetch(blob ? "picture" + querySides(request) : "api", {
        method: "POST", body: blob ?? JSON.stringify(request),
      });
      return unpack(await response.arrayBuffer());
    } catch {
      return failure("The explorer does not answer. Is npmaskrcnn explore still running?");
    }
  }
}

function querySides({width, height}) {
  return width ? `?width=${width}&height=${height}` : "";
}

/** Asks a web worker: it gets {id, request, blob}, the request as JSON, and posts {id, message} (an ArrayBuffer) or
 *  {id, failed: "one line"}; and, while it gets ready, {progress: "one line"}. */
export class WorkerTransport {
  readsFiles = false; // the page decodes pictures itself
  constructor(address, onProgress = () => {}) {
    this.waiting = new Map();
    this.count = 0;
    this.worker = new Worker(address, {type: "module"});
    this.worker.onmessage = ({data}) => {
      if (data.progress !== undefined) return onProgress(data.progress);
      this.#settle(data.id, data.message ? unpack(data.message) : failure(data.failed ?? "The worker failed."));
    };
    this.worker.onerror = event => {
      for (const id of [...this.waiting.keys()]) this.#settle(id, failure(`The worker failed: ${event.message}`));
    };
  }
  ask(request, blob) {
    return new Promise(resolve => {
      this.waiting.set(++this.count, resolve);
      this.worker.postMessage({id: this.count, request: JSON.stringify(request), blob}, blob ? [blob] : []);
    });
  }
  #settle(id, outcome) {
    this.waiting.get(id)?.(outcome);
    this.waiting.delete(id);
  }
}

/** The page's own transport: a worker if the page names one (<html data-worker="worker.js">), else HTTP. */
export function chosenTransport(onProgress) {
  const address = document.documentElement.dataset.worker;
  return address ? new WorkerTransport(address, onProgress) : new HttpTransport();
}

/** Who waits in line: one question at a time is under way, and of each kind only the newest waits. */
export class Line {
  // What belongs to the look that has just come goes before the next look, so that all panels show the same picture.
  static ORDER = ["channel C", "channel P", "roi", "picture", "hello", "draw", "train", "look", "gradient", "minds"];

  constructor(transport) {
    this.transport = transport;
    this.waiting = new Map();
    this.busy = false;
  }
  /** The answer, or null if a newer question of this kind has taken the place. */
  ask(kind, request, blob) {
    return new Promise((resolve, reject) => {
      if (!Line.ORDER.includes(kind)) throw new Error(`nobody knows when it is the turn of ${kind}`);
      this.drop(kind);
      this.waiting.set(kind, {request, blob, resolve, reject});
      this.#next();
    });
  }
  /** Forget what waits. */
  drop(kind) {
    this.waiting.get(kind)?.resolve(null);
    this.waiting.delete(kind);
  }
  async #next() {
    if (this.busy) return;
    const kind = Line.ORDER.find(each => this.waiting.has(each));
    if (!kind) return;
    const question = this.waiting.get(kind), {request, blob, resolve, reject} = question;
    this.waiting.delete(kind);
    this.busy = true;
    try {
      const outcome = await this.transport.ask(typeof request === "function" ? request() : request, blob);
      if (!outcome.answer.superseded) resolve(outcome);
      else if (this.waiting.has(kind)) resolve(null);
      else this.waiting.set(kind, question); // another window was quicker, and we still want to know
    } catch (error) {
      reject(error);
    } finally {
      this.busy = false;
    }
    // The one who asked may now ask what belongs to the answer: let them come first.
    setTimeout(() => this.#next());
  }
}
