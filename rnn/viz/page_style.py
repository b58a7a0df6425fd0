"""The look of a cell's page, and the script that marks what belongs together."""

STYLE = """
:root{color-scheme:light dark;--ink:#22262c;--paper:#fff;--soft:#f4f6f8;--edge:#d5dbe2;--mark:#ffd54a;--mark-ink:#111}
@media(prefers-color-scheme:dark){:root{--ink:#d7dce3;--paper:#14171b;--soft:#1d2127;--edge:#3a414b;--mark:#8a6d00;
--mark-ink:#fff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1500px;padding:1.2rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
header{display:flex;flex-wrap:wrap;gap:0 1rem;align-items:baseline}
h1{margin:0;font-size:1.7rem}h2{margin:0 0 .5rem;font-size:1.1rem}h3{margin:.9rem 0 .2rem;font-size:.9rem;font-weight:600}
header p,.hint{margin:0;opacity:.75}.hint{margin:.2rem 0 1rem}
main{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,3fr);gap:1rem}
@media(max-width:1000px){main{grid-template-columns:minmax(0,1fr)}}
main.wide #equations,main.wide #diagram{grid-column:1/-1}
section{border:1px solid var(--edge);border-radius:10px;padding:.9rem 1rem;background:var(--soft)}
pre{margin:0;overflow-x:auto;font:13px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}
#plan pre{white-space:pre-wrap;overflow-wrap:anywhere}
.scroll{overflow-x:auto}.scroll svg{display:block;margin:auto}
details{margin-top:.4rem}summary{cursor:pointer;font-weight:600}
[data-gate]{cursor:pointer;border-radius:3px}
span[data-gate].marked{background:var(--mark);color:var(--mark-ink)}
svg .marked .shape{stroke:#d08700;stroke-width:3}svg text.marked{fill:#d08700!important;font-weight:700}
svg .wire.marked{stroke:#d08700!important;stroke-width:3!important}svg .head.marked{fill:#d08700!important}
"""
SCRIPT = """
const named = element => (element.dataset.gate || "").split(" ").filter(Boolean);
const ends = line => [line.dataset.from, line.dataset.to].join(" ").split(" ");
let pinned = [];
function mark(gates) {
  for (const element of document.querySelectorAll("[data-gate]"))
    element.classList.toggle("marked", named(element).some(name => gates.includes(name)));
  for (const line of document.querySelectorAll("[data-from]"))
    if (line.classList.toggle("marked", ends(line).some(name => gates.includes(name))))
      line.parentNode.append(line);                             // so that no other line lies over it
}
const under = event => event.target.closest && event.target.closest("[data-gate]");
document.addEventListener("pointerover", event => { const at = under(event); mark(at ? named(at) : pinned); });
document.addEventListener("pointerleave", () => mark(pinned));
document.addEventListener("click", event => {
  const at = under(event);
  pinned = at && named(at).join() !== pinned.join() ? named(at) : [];
  mark(at ? named(at) : pinned);
});
"""
