"""The loops of counting, compiled.

Label maps are made of regions, so most neighbouring pixels hold the same pair. Both maps are read as 64-bit words of
four 16-bit pixels: a word that repeats the pair before it costs two comparisons, and only a word on a border is taken
apart.

Axes: W words of a map, N classes. `in_image` holds N flags: which classes are in the label.
"""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
@no_type_check
def count_words(pred_words, gt_words, ignore_index, counts, in_image):
    """Add both maps to `counts`; False when a pixel that is not ignored is out of range.

    All arithmetic is unsigned, which spares Numba's test for negative indices. The pair of a run has been a single
    pixel before, at the end of the word before the run, so it was checked there.
    """
    num_classes, ignored = np.uint64(in_image.size), np.uint64(ignore_index)
    every_pixel = np.uint64(0x0001000100010001)
    one_pixel, pixel_bits = np.uint64(0xFFFF), np.uint64(16)
    gt, pred = ignored, np.uint64(0)
    gt_repeated, pred_repeated = ignored * every_pixel, np.uint64(0)
    run = 0
    for index in range(gt_words.size):
        pred_word, gt_word = pred_words[index], gt_words[index]
        if pred_word == pred_repeated and gt_word == gt_repeated:
            run += 4
            continue
        if run:
            if gt < num_classes:
                counts[gt * num_classes + pred] += run
            run = 0
        for _ in range(4):
            gt, pred = gt_word & one_pixel, pred_word & one_pixel
            gt_word >>= pixel_bits
            pred_word >>= pixel_bits
            if gt < num_classes:
                if pred >= num_classes:
                    return False
                counts[gt * num_classes + pred] += 1
                if in_image[gt] == 0:  # storing it for every pixel would hold up the store before
                    in_image[gt] = 1
            elif gt != ignored:
                return False
        gt_repeated, pred_repeated = gt * every_pixel, pred * every_pixel
    if gt < num_classes:
        counts[gt * num_classes + pred] += run
    return True


@njit(nogil=True, cache=True)
@no_type_check
def drain(counts, in_image):
    """Take what is above zero in the rows of `in_image` out of `counts`, leaving it zero."""
    num_classes = in_image.size
    total = 0
    for row in range(num_classes):
        if in_image[row]:
            for column in range(num_classes):
                total += counts[row, column] != 0
    # One entry more than needed: every cell is written, and only the position moves on, which spares a branch.
    gt, pred = np.empty(total + 1, np.uint16), np.empty(total + 1, np.uint16)
    count = np.empty(total + 1, np.int64)
    position = 0
    for row in range(num_classes):
        if in_image[row]:
            start = position
            for column in range(num_classes):
                pred[position] = column
                count[position] = counts[row, column]
                position += counts[row, column] != 0
            gt[start:position] = row
            counts[row] = 0
    return gt[:total], pred[:total], count[:total]


@njit(nogil=True, cache=True)
@no_type_check
def drain_into(total, counts, in_image):
    """Move the rows of `in_image` from `counts` to `total`."""
    for row in range(in_image.size):
        if in_image[row]:
            for column in range(in_image.size):
                total[row, column] += counts[row, column]
                counts[row, column] = 0
