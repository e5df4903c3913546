# Copyright 2026 The selfpose_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Losses: one small pure function each; unseen joints and absent views count nowhere (methods.md 7.7)."""
from .agreement import can_agree, mv_procrustes, smooth, step_agree
from .anatomy import bone_vec, chirality, chirality_score, drawn_out, limb_len, symmetry, z_bound
from .cycle import lift_cycle_2d
from .fusion import csm_keep, csm_mix, csm_rep
from .likelihood import gaussian_nll, pose_distance
from .reprojection import cam_shuffle, mix_rep, pair_errors, rep_l1
from .squared import p3d_mse, proj2d_mse

__all__ = ['bone_vec', 'cam_shuffle', 'can_agree', 'chirality', 'chirality_score', 'csm_keep', 'csm_mix', 'csm_rep',
           'drawn_out', 'gaussian_nll', 'lift_cycle_2d', 'limb_len', 'mix_rep', 'mv_procrustes', 'p3d_mse',
           'pair_errors', 'pose_distance', 'proj2d_mse', 'rep_l1', 'smooth', 'step_agree', 'symmetry', 'z_bound']
