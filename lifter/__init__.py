"""Stage two: 2D joints -> 3D joints, by SemGCN and its rivals; and the joint stage that chains both (`evolift.chain.model`)."""
