"""One run: LoGoSeg as all tables have it. What `make demo` makes first; Tables 1-5 then find it in the store.

ovlab run first_run --suite shapes
"""

from ovlab.specs.table import Row, Table, Variation

TABLE = Table(
    name="first_run",
    title="LoGoSeg, mIoU (%)",
    rows=(Row(key="logoseg", label="LoGoSeg", run=Variation()),),
)
