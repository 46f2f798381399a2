import { useState } from "react";

import { type Json } from "../../graph/model";

/** What a text says, or why it says nothing. */
export type Parsed = { readonly value: Json | undefined } | { readonly fault: string };

/**
 * Keep what a person types until it says something.
 *
 * What they type stays as it is while they type, is passed on whenever it is valid, and gives way
 * to the value itself when they leave.
 */
export function useDraft(shown: string, parse: (text: string) => Parsed, onChange: (value: Json | undefined) => void) {
  const [draft, setDraft] = useState<string | null>(null);
  const parsed = draft === null ? null : parse(draft);
  return {
    text: draft ?? shown,
    fault: parsed && "fault" in parsed ? parsed.fault : null,
    change: (text: string) => {
      setDraft(text);
      const said = parse(text);
      if ("value" in said) onChange(said.value);
    },
    leave: () => setDraft(null),
  };
}
