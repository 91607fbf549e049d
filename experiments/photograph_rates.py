"""The learning rate of the suite photographs: three, tried on the validation photographs of MSRC.

The best on the classes that training sees is the suite's; no test photograph and no unseen class is looked at.

    ovlab run photograph_rates --suite photographs --data msrc=DIR

Cost: about two minutes a run.
"""

from ovlab.specs.table import Column, Row, Table, Variation

RATES = (0.0003, 0.001, 0.003)

TABLE = Table(
    name="photograph_rates",
    title="Learning rates on validation photographs, LoGoSeg on the bridge, mIoU (%)",
    columns=(Column(title="MSRC seen", benchmark="msrc", split="val", score="seen_miou"),),
    rows=tuple(
        Row(
            key=f"{rate:g}",
            label=f"{rate:g}",
            run=Variation(backbone="bridge", training_set="msrc", split="train-seen", schedule={"learning_rate": rate}),
        )
        for rate in RATES
    ),
)
