"""Stage one: image -> heatmaps -> joints, 2D or volumetric; with augmentation, occlusion, training and evaluation."""
