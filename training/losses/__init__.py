# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Losses: one small pure function each; unseen joints and absent views count nowhere (methods.md 7.7)."""
from .agreement import canonical_consistency, mv_procrustes, step_consistency
from .anatomy import bone_vec, chirality, chirality_score, depth_elongation, limb_len, symmetry, z_bound
from .fusion import csm_keep, csm_terms
from .likelihood import gaussian_nll, pose_distance
from .reprojection import cam_shuffle, pair_errors, rep_l1
from .squared import p3d_mse, proj2d_mse

__all__ = ['bone_vec', 'cam_shuffle', 'canonical_consistency', 'chirality', 'chirality_score', 'csm_keep', 'csm_terms',
           'depth_elongation', 'gaussian_nll', 'limb_len', 'mv_procrustes', 'p3d_mse', 'pair_errors',
           'pose_distance', 'proj2d_mse', 'rep_l1', 'step_consistency', 'symmetry', 'z_bound']
