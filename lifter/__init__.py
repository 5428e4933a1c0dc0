"""Stage two: 2D joints -> 3D joints, by SemGCN and its rivals; and the chain of both (`evolift.chain.model`)."""
