// The tap state (点击态): set by a real click, alive through awaits of resolved promises to the end of that
// macrotask, handed on by some of wx's callbacks, lost in timers. Used by wx.js.

let alive = false;
let generation = 0;

const { port1, port2 } = new MessageChannel();
// A message is a macrotask of its own: it comes after all microtasks of the click.
port1.onmessage = ({ data }) => {
  if (data === generation) alive = false;
};

function begin() {
  alive = true;
  generation += 1;
  port2.postMessage(generation);
}

export const isTap = () => alive;

/** Wraps a callback so that it has the tap state that holds now. */
export function handOn(callback) {
  const had = alive;
  return (...args) => {
    if (had) begin();
    return callback(...args);
  };
}

document.addEventListener("click", (event) => event.isTrusted && begin(), true);

// A timer may run before the message above: it never has the tap state.
for (const name of ["setTimeout", "setInterval", "requestAnimationFrame"]) {
  const native = window[name].bind(window);
  window[name] = (callback, ...rest) =>
    native((...args) => {
      alive = false;
      return callback(...args);
    }, ...rest);
}
