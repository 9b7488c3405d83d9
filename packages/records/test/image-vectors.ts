/**
 * Small images and what other libraries make of them: PNG files written by Pillow 13.0.0, sizes by OpenCV 5.0.0
 * (resize, INTER_LINEAR, doubles), moves by SciPy 1.17.1 (ndimage.affine_transform, order 1, doubles, the surroundings
 * filled with 1/4).
 */
export const SMALL_IMAGE = [
  0.5, 0.5, 0.75, 1.0, 0.0, 0.125, 0.8125, 1.0, 0.25, 0.3125, 0.875, 0.4375, 0.25, 0.875, 0.25, 0.375, 0.625,
  0.5625, 0.0625, 0.0,
]

export const RESIZED: readonly (readonly [height: number, width: number, pixels: readonly number[]])[] = [
  [
    8,
    9,
    [
      0.5, 0.5, 0.5, 0.5138889, 0.625, 0.7361111, 0.8472222, 0.9583333, 1.0, 0.28125, 0.2903646, 0.3146701,
      0.3604601, 0.5566406, 0.7528212, 0.8639323, 0.9628906, 1.0, 0.015625, 0.0358073, 0.0896267, 0.1744792,
      0.4765625, 0.7786458, 0.8741319, 0.9401042, 0.9648438, 0.171875, 0.1855469, 0.2220052, 0.2873264,
      0.5546875, 0.8220486, 0.7612847, 0.6536458, 0.6132812, 0.25, 0.2897135, 0.3956163, 0.4989149, 0.5839844,
      0.6690538, 0.577908, 0.4615885, 0.4179688, 0.25, 0.3483073, 0.61046, 0.8092448, 0.5644531, 0.3196615,
      0.3240017, 0.3639323, 0.3789062, 0.4609375, 0.5006511, 0.6065538, 0.6684028, 0.421875, 0.1753472,
      0.1521267, 0.1608073, 0.1640625, 0.625, 0.6145833, 0.5868056, 0.5347222, 0.3125, 0.0902778, 0.0381944,
      0.0104167, 0.0,
    ],
  ],
  [3, 2, [0.3541667, 0.8854167, 0.28125, 0.65625, 0.5833333, 0.125]],
  [
    5,
    7,
    [
      0.5, 0.5, 0.5, 0.625, 0.7678571, 0.9107143, 1.0, 0.0, 0.0446429, 0.1160714, 0.46875, 0.8258929,
      0.9330357, 1.0, 0.25, 0.2723214, 0.3080357, 0.59375, 0.84375, 0.59375, 0.4375, 0.25, 0.4732143,
      0.8303571, 0.5625, 0.2589286, 0.3303571, 0.375, 0.625, 0.6026786, 0.5669643, 0.3125, 0.0580357,
      0.0223214, 0.0,
    ],
  ],
]

export const MOVED: readonly (readonly [
  down: number,
  right: number,
  degrees: number,
  flipLines: boolean,
  flipColumns: boolean,
  pixels: readonly number[],
])[] = [
  [
    0,
    0,
    30,
    false,
    false,
    [
      0.405509311, 0.767793501, 0.985421677, 0.398692425, 0.341656647, 0.529532387, 0.813772121, 0.427178135,
      0.084480207, 0.305398708, 0.700956499, 0.39376503, 0.25, 0.481905907, 0.574389182, 0.137334674, 0.25,
      0.450435858, 0.571469201, 0.204928552,
    ],
  ],
  [
    0.5,
    -1.25,
    0,
    false,
    false,
    [
      0.40625, 0.53125, 0.53125, 0.25, 0.4296875, 0.8359375, 0.8125, 0.25, 0.375, 0.8125, 0.6015625, 0.25,
      0.5859375, 0.5234375, 0.3671875, 0.25, 0.578125, 0.1640625, 0.203125, 0.25,
    ],
  ],
  [
    1,
    0,
    -12.5,
    true,
    false,
    [
      0.307323106, 0.313186062, 0.25, 0.25, 0.391915143, 0.592400454, 0.282745371, 0.090472914, 0.25,
      0.688107463, 0.37442376, 0.24486216, 0.171778868, 0.299035862, 0.802218985, 0.426271264, 0.172497234,
      0.305202677, 0.842236681, 0.703827807,
    ],
  ],
  [
    -0.75,
    2,
    45,
    true,
    true,
    [
      0.25, 0.176326603, 0.236750316, 0.786795693, 0.232416798, 0.041651451, 0.236375755, 0.565285951, 0.25,
      0.257260668, 0.390309626, 0.738415968, 0.25, 0.25, 0.307933408, 0.87238484, 0.25, 0.25, 0.25,
      0.401427221,
    ],
  ],
]

export const PILLOW_FILES: readonly {
  readonly mode: string
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly depth: number
  readonly base64: string
  readonly samples: readonly number[]
}[] = [
  {
    mode: "L",
    height: 3,
    width: 5,
    channels: 1,
    depth: 8,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAAAAAB+XZokAAAAGklEQVR4nGO8+1hsswdjiHxYmB7TaUZDZlEAPEgFOIGKT3oAAAAASUVORK5CYII=",
    samples: [221, 192, 214, 137, 209, 84, 115, 201, 31, 77, 31, 116, 250, 34, 98],
  },
  {
    mode: "I;16",
    height: 3,
    width: 4,
    channels: 1,
    depth: 16,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAQAAAADEAAAAADBDy1ZAAAAJElEQVR4nGNIN3qeYiLaMJnBWY1V+IA4/wMWlkVVR/as5OMHAHYKCPJBSx70AAAAAElFTkSuQmCC",
    samples: [26418, 59236, 13333, 32915, 17190, 1299, 49175, 4064, 18376, 32652, 31797, 7663],
  },
  {
    mode: "1",
    height: 4,
    width: 11,
    channels: 1,
    depth: 1,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAsAAAAEAQAAAABwgfheAAAAFElEQVR4nGN47cAY+J7hOQNj2SsAHBsEtfwerPYAAAAASUVORK5CYII=",
    samples: [
      1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1,
      1, 1, 0, 1, 1, 0, 0, 1, 1,
    ],
  },
  {
    mode: "RGB",
    height: 3,
    width: 4,
    channels: 3,
    depth: 8,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAAMklEQVR4nAEnANj/AIKsgvvADSWL0RGuwgJHM6+TDU4L70MnLOgA3NfgT3ieRusB1qVAXCgR8TyP6YQAAAAASUVORK5CYII=",
    samples: [
      130, 172, 130, 251, 192, 13, 37, 139, 209, 17, 174, 194, 201, 223, 49, 142, 205, 91, 48, 122, 20, 56,
      218, 170, 220, 215, 224, 79, 120, 158, 70, 235, 1, 214, 165, 64,
    ],
  },
  {
    mode: "RGBA",
    height: 2,
    width: 3,
    channels: 4,
    depth: 8,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAAI0lEQVR4nGPYkXn1v0eF+cbFN879Yvz2VI2rtXj/oY/WGyUAw5kOWy151QQAAAAASUVORK5CYII=",
    samples: [
      184, 105, 213, 255, 72, 120, 55, 177, 163, 216, 206, 250, 246, 229, 38, 10, 123, 88, 229, 204, 108, 147,
      150, 228,
    ],
  },
  {
    mode: "LA",
    height: 2,
    width: 3,
    channels: 2,
    depth: 8,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAQAAAA3fa6RAAAAF0lEQVR4nGNgq11T/Pozy9mf/PP3XQQAMCIHiM0z2eYAAAAASUVORK5CYII=",
    samples: [6, 125, 172, 115, 235, 243, 211, 118, 226, 18, 169, 68],
  },
  {
    mode: "P",
    height: 3,
    width: 7,
    channels: 3,
    depth: 8,
    base64:
      "iVBORw0KGgoAAAANSUhEUgAAAAcAAAADBAMAAACt7Qj2AAAAElBMVEWPZYABokONa5wbXaLEYQa5gae4IZCTAAAAF0lEQVR4nGMUMbygzfTnP/cBJpEzKgIAKBcFIFpxMtAAAAAASUVORK5CYII=",
    samples: [
      1, 162, 67, 196, 97, 6, 196, 97, 6, 185, 129, 167, 1, 162, 67, 185, 129, 167, 196, 97, 6, 1, 162, 67,
      143, 101, 128, 196, 97, 6, 196, 97, 6, 141, 107, 156, 143, 101, 128, 143, 101, 128, 141, 107, 156, 196,
      97, 6, 1, 162, 67, 143, 101, 128, 196, 97, 6, 196, 97, 6, 1, 162, 67,
    ],
  },
]
