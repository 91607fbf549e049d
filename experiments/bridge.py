"""The rule by which the bridge got its temperature and the number of classes that make a position.

The best mIoU of the bridge alone on the training photographs of MSRC, over the classes that training sees and asked for
nothing else. No test photograph has a part in it, and no class that is unseen later.

    ovlab run bridge --suite photographs --data msrc=DIR

Cost: not measured; 273 photographs a row.
"""

from ovlab.specs.table import Alone, Column, Row, Table

TEMPERATURES = (1.0, 2.0, 3.0, 5.0)
MOST_CLASSES = (10, 50, 1000)

TABLE = Table(
    name="bridge",
    title="The bridge alone on training photographs, mIoU (%)",
    columns=(Column(title="MSRC seen, training", benchmark="msrc", split="train-seen"),),
    rows=tuple(
        Row(
            key=f"{temperature:g}-{top_k}",
            label=f"temperature {temperature:g}, {top_k} classes",
            run=Alone(method="bridge", backbone="bridge", options={"temperature": temperature, "top_k": top_k}),
        )
        for temperature in TEMPERATURES
        for top_k in MOST_CLASSES
    ),
)
