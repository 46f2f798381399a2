import { useState } from "react";

import { enter } from "../app/session";

/** What is seen without a good token. */
export function Door() {
  const [token, setToken] = useState("");
  return (
    <form
      className="door"
      onSubmit={(event) => {
        event.preventDefault();
        enter(token.trim());
      }}
    >
      <h2>The server did not let this page in</h2>
      <p>Open the link that <code>plumber serve</code> printed, or paste its token here.</p>
      <label htmlFor="token">Token</label>
      <div className="door-row">
        <input id="token" type="password" autoComplete="off" value={token} onChange={(event) => setToken(event.target.value)} />
        <button type="submit" className="primary">Connect</button>
      </div>
    </form>
  );
}
