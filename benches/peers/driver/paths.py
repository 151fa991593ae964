"""Where things are."""

from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent
# Not committed.
BUILT = PEERS.parent.parent / "target" / "peers"

RESULTS = PEERS / "results.json"
TABLE = PEERS / "results.md"
PLOT = PEERS / "peers.svg"
# The plot once more, for viewers that know no SVG.
PLOT_PNG = BUILT / "peers.png"
