/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

int sample_sum(int a, int b);
int sample_scale(int value, int factor);
int sample_hidden(int value);

#endif
