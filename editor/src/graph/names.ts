/** What a node may be called. */

const LONGEST = 64;
const REFUSED = new Set(["__proto__", "constructor", "prototype"]);

/** Say what is wrong with a name, or null. */
export function nameFault(name: string, taken: (name: string) => boolean): string | null {
  if (name.trim() === "") return "A node needs a name.";
  if (name !== name.trim()) return "A name can't begin or end with a space.";
  if (Array.from(name).length > LONGEST) return `A name has at most ${LONGEST} characters.`;
  if (REFUSED.has(name)) return `${name} can't be a name here; pick another one.`;
  // A browser sorts such keys to the front, and the order of the nodes is the order of a join.
  if (/^\d+$/.test(name)) return "A name can't be only digits; put a letter before them.";
  if (/(?! )[\p{C}\p{Z}]/u.test(name)) return "A name can't hold characters that are not seen.";
  if (taken(name)) return `There is a node ${name} already.`;
  return null;
}

/** Return a name that is not taken: `double`, `double_2`, `double_3`, … */
export function freshName(wanted: string, taken: (name: string) => boolean): string {
  const last = wanted.split(/[.:]/).at(-1)?.trim() ?? "";
  const base = nameFault(last, () => false) === null ? last.slice(0, LONGEST - 5) : "node";
  let name = base;
  for (let count = 2; taken(name); count++) name = `${base}_${count}`;
  return name;
}
