"""A procedural adult right hand for tests: joint angles in, 21 canonical keypoints in wrist axes out.

Shares no code with the SDK. Axes: z along the fingers, x out of the palm, y towards the thumb; metres.
"""

import numpy as np

BONES = {
    "index": (0.040, 0.024, 0.020),
    "middle": (0.044, 0.028, 0.021),
    "ring": (0.041, 0.027, 0.021),
    "pinky": (0.033, 0.020, 0.019),
}
KNUCKLES = {
    "index": (0.0, 0.026, 0.092),
    "middle": (0.0, 0.004, 0.095),
    "ring": (0.0, -0.016, 0.089),
    "pinky": (0.0, -0.034, 0.080),
}
THUMB_ROOT, THUMB_BONES = np.array([0.012, 0.024, 0.026]), (0.044, 0.033, 0.026)
FINGERS = ("index", "middle", "ring", "pinky")


def _finger(root, bones, flexions, spread):
    points, angle, at = [np.array(root)], 0.0, np.array(root, float)
    for bone, flexion in zip(bones, flexions, strict=True):
        angle += flexion
        direction = np.array([np.sin(angle), np.cos(angle) * np.sin(spread), np.cos(angle) * np.cos(spread)])
        at = at + bone * direction
        points.append(at)
    return points


def right_hand(flexion, spread=0.0, thumb=(0.0, 0.0, 0.0)):
    """Keypoints ``(21, 3)``: ``flexion`` (4,) in [0, 1] per finger; ``thumb`` = (opposition, mcp, ip) in [0, 1]."""
    keypoints = [np.zeros(3)]
    opposition, mcp, ip = thumb
    start = np.array([0.30, 0.80, 0.52])
    facing = np.array([0.80, -0.05, 0.60])
    direction = (1 - opposition) * start + opposition * facing
    direction = direction / np.linalg.norm(direction)
    inwards = np.array([0.35, -0.75, 0.55])
    at, chain = THUMB_ROOT, [THUMB_ROOT]
    for bone, bend in zip(THUMB_BONES, (0.0, mcp, ip), strict=True):
        direction = direction + bend * (inwards - (inwards @ direction) * direction)
        direction = direction / np.linalg.norm(direction)
        at = at + bone * direction
        chain.append(at)
    keypoints += chain
    for i, name in enumerate(FINGERS):
        f = flexion[i]
        keypoints += _finger(KNUCKLES[name], BONES[name], (1.3 * f, 1.5 * f, 0.9 * f), spread * (1.5 - i))
    return np.array(keypoints)


def mirrored(keypoints):
    """The left hand that is the mirror image, in the left hand's wrist axes."""
    return keypoints * np.array([1.0, -1.0, 1.0])


def clip(frames=90, seed=0):
    """A smooth random motion ``(T, 21, 3)``."""
    rng = np.random.default_rng(seed)
    knots = rng.uniform(0, 1, (frames // 15 + 2, 8))
    time = np.linspace(0, len(knots) - 1.001, frames)
    k, u = time.astype(int), time % 1
    u = (u * u * (3 - 2 * u))[:, None]
    value = (1 - u) * knots[k] + u * knots[k + 1]
    return np.stack([right_hand(v[:4], 0.15 * v[4], v[5:8] * [1, 0.4, 0.4]) for v in value])
