/** The link's fragment: `#token=…` lets in, `#graph=…` brings a graph; both may stand there. */

import { type Graph } from "../graph/model";
import { pack } from "../graph/share";

export interface Fragment {
  readonly token: string | null;
  readonly graph: string | null;
}

export function readFragment(hash: string): Fragment {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  return { token: said.get("token"), graph: said.get("graph") };
}

/** Return a link to this page with a graph; never with the token, which lets its holder in. */
export async function shareLink(graph: Graph): Promise<string> {
  return `${location.origin}${location.pathname}#graph=${await pack(graph)}`;
}
