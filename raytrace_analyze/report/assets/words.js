// Numbers in words, as the command line writes them.

const STEPS = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']];

function durationText(ns) {
  if (ns === 0) return '0 s';
  if (ns < 0) return `-${durationText(-ns)}`;
  const seconds = Math.round(ns / 1e9);
  if (seconds >= 120) {
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min ${seconds % 60} s`;
  }
  for (const [size, unit] of STEPS) {
    const value = ns / size;
    if (value >= 0.9995 || size === 1) {
      const digits = size === 1 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
      return `${value.toFixed(digits)} ${unit}`;
    }
  }
  return '';
}

// A point in time, exact enough to tell ticks apart that lie `step` ns from each other.
function momentText(ns, step, whole) {
  const [size, unit] = STEPS.find((each) => whole >= each[0]) || STEPS[3];
  const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step / size) - 1e-9)));
  return `${(ns / size).toFixed(digits)} ${unit}`;
}

function countText(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

// What would turn a line around, or cannot be seen, is shown as U+FFFD, and colours are left out, as everywhere else.
function printable(text) {
  return text.replace(/\u001b\[[0-9;]*m/g, '').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}

// An element with text; nothing here ever makes markup of a text.
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = printable(text);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
