"""Table 3: inside the fusion: language queries (LQ), global context (GC), directional attention (DA), and its depth.

Claims: GC helps, DA helps on top, two layers are better than one or three.

    ovlab run table3 --suite shapes

Cost, shapes: about three minutes a run, two runs at a time on two cores.
Cost, paper: not measured yet; the paper trained on four RTX 4090.
"""

from ovlab.specs.table import Claim, Note, Row, Table, Variation

COMPONENTS, DEPTH = "components", "depth"

TABLE = Table(
    name="table3",
    title="Ablation of contextual cross-modal fusion, ViT-B/16, mIoU (%)",
    rows=(
        Row(
            key="lq",
            label="w/ LQ only",
            group=COMPONENTS,
            published="table3/lq",
            run=Variation(model={"global_context": False, "directional_attention": False}),
        ),
        Row(
            key="lq-gc",
            label="w/ LQ + GC",
            group=COMPONENTS,
            published="table3/lq-gc",
            run=Variation(model={"directional_attention": False}),
        ),
        Row(key="lq-gc-da", label="w/ LQ + GC + DA", group=COMPONENTS, published="table3/lq-gc-da", run=Variation()),
        Row(
            key="depth-1",
            label="w/ fusion depth = 1",
            group=DEPTH,
            published="table3/depth-1",
            run=Variation(model={"fusion_depth": 1}),
        ),
        Row(
            key="depth-2",
            label="w/ fusion depth = 2",
            group=DEPTH,
            published="table3/depth-2",
            run=Variation(model={"fusion_depth": 2}),
        ),
        Row(
            key="depth-3",
            label="w/ fusion depth = 3",
            group=DEPTH,
            published="table3/depth-3",
            run=Variation(model={"fusion_depth": 3}),
        ),
    ),
    seeds=(0, 1, 2),
    claims=(
        Claim(
            text="Global context helps on every benchmark.",
            where="Section 3.4, Contextual Cross-modal Fusion Analysis",
            better="lq-gc",
            worse=("lq",),
        ),
        Claim(
            text="Directional attention brings additional gains.",
            where="Section 3.4, Contextual Cross-modal Fusion Analysis",
            better="lq-gc-da",
            worse=("lq-gc",),
        ),
        Claim(
            text="Two layers are better than one or three.",
            where="Section 3.4, Contextual Cross-modal Fusion Analysis",
            better="depth-2",
            worse=("depth-1", "depth-3"),
        ),
    ),
    notes=(
        Note(
            text="In the paper 'LQ only', with OP and RA, is below OP + RA without any fusion in Table 2.",
            rows=("lq",),
        ),
        Note(text="The depth is chosen on the benchmarks themselves, as in the paper.", rows=("depth-2",)),
    ),
)
