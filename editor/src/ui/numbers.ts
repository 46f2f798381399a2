/** Figures as people read them at a glance. */

const COUNT = new Intl.NumberFormat("en");

/** 3 → "3", 12345 → "12,345", 1234567 → "1.23M". */
export function count(value: number): string {
  return value < 1_000_000 ? COUNT.format(value) : short(value);
}

/** 3.24 → "3.2", 42.1 → "42", 1234 → "1.23k". */
export function rate(value: number): string {
  if (value >= 1_000) return short(value);
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

function short(value: number): string {
  const [size, unit] = value >= 1e9 ? [1e9, "G"] : value >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  return `${String(Number((value / size).toPrecision(3)))}${unit}`;
}

/** 0.42 → "0.4 s", 75 → "1 min 15 s". */
export function seconds(value: number): string {
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
