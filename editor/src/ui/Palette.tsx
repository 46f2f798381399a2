import { useReactFlow } from "@xyflow/react";
import { type DragEvent, useMemo, useState } from "react";

import { editor } from "../app/editor";
import { session } from "../app/session";
import { useStore } from "../app/store";
import { type Step } from "../client/protocol";
import { CARD } from "../graph/tidy";
import { addStep, DRAGGED } from "./adding";
import { Icon, type IconName } from "./icons";

interface Offer {
  readonly step: string | null;
  readonly title: string;
  readonly doc: string;
  readonly icon: IconName;
  readonly group: string;
}

const PUSH: Offer = {
  step: null,
  title: "push input",
  doc: "Takes the items that you push into it while it runs.",
  icon: "input",
  group: "Sources",
};

const GROUPS = { source: "Sources", step: "Steps", sink: "Sinks" };

function offerOf({ name, kind, doc }: Step): Offer {
  return { step: name, title: name, doc: doc.split("\n", 1)[0] ?? "", icon: kind, group: GROUPS[kind] };
}

/** Return what matches every word of a search, in names before docs. */
function matching(offers: readonly Offer[], search: string): Offer[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const inText = (text: string) => words.every((word) => text.toLowerCase().includes(word));
  const found = offers.filter(({ title, doc }) => inText(`${title} ${doc}`));
  return [...found.filter(({ title }) => inText(title)), ...found.filter(({ title }) => !inText(title))];
}

/** The steps on offer; drag one, click it, or press Enter to add it. */
export function Palette({ onAdded }: { readonly onAdded: () => void }) {
  const steps = useStore(session, (state) => state.steps);
  const [search, setSearch] = useState("");
  const [added, setAdded] = useState("");
  const spot = useSpot();
  const offers = useMemo(() => [...[...steps.values()].map(offerOf), PUSH], [steps]);
  const found = matching(offers, search);
  const groups = Object.values(GROUPS).map((title) => ({ title, offers: found.filter(({ group }) => group === title) }));
  const addOffer = (offer: Offer) => {
    setAdded(`Added ${addStep(offer.step, spot())}.`);
    onAdded();
  };
  const first = groups.find((group) => group.offers.length > 0)?.offers[0];
  return (
    <aside className="palette" aria-label="Steps">
      <form
        className="search"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          const best = search.trim() === "" ? first : found[0];
          if (best) addOffer(best);
        }}
      >
        <Icon name="search" />
        <input
          type="search"
          aria-label="Search steps"
          placeholder="Search steps"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </form>
      <div className="palette-list">
        {groups.map((group) => group.offers.length > 0 && (
          <section key={group.title} aria-label={group.title}>
            <h2>{group.title}</h2>
            <ul>
              {group.offers.map((offer) => (
                <li key={offer.step ?? ""}>
                  <OfferButton offer={offer} onAdd={() => addOffer(offer)} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {found.length === 0 && <p className="quiet">No step matches “{search}”.</p>}
      </div>
      <p className="unseen" role="status">{added}</p>
    </aside>
  );
}

function OfferButton({ offer, onAdd }: { readonly offer: Offer; readonly onAdd: () => void }) {
  const onDragStart = (event: DragEvent) => {
    event.dataTransfer.setData(DRAGGED, JSON.stringify(offer.step));
    event.dataTransfer.effectAllowed = "copy";
  };
  return (
    <button type="button" className="offer" draggable onDragStart={onDragStart} onClick={onAdd} title={offer.doc}>
      <span className={`kind kind-${offer.icon === "input" ? "source" : offer.icon}`}>
        <Icon name={offer.icon} />
      </span>
      <span className="offer-text">
        <strong>{offer.title}</strong>
        <span>{offer.doc}</span>
      </span>
    </button>
  );
}

/** Where a step goes that was not dragged: beside what is selected, else in the middle of the view. */
function useSpot() {
  const { screenToFlowPosition } = useReactFlow();
  return () => {
    const { history, selection } = editor.get();
    const chosen = history.now.places.get([...selection.nodes][0] ?? "");
    const right = history.now.direction === "right";
    if (chosen) return { x: chosen.x + (right ? CARD.width + 92 : 0), y: chosen.y + (right ? 0 : CARD.height + 72) };
    const box = document.querySelector(".canvas")?.getBoundingClientRect();
    const middle = box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : { x: 0, y: 0 };
    const { x, y } = screenToFlowPosition(middle);
    return { x: x - CARD.width / 2, y: y - CARD.height / 2 };
  };
}
