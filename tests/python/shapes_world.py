"""The shapes world in numpy: captions, renderer and checker.

An implementation of its own, against which the tests hold the C++ one. Images
are (32, 32, 3) where drawn and (3, 32, 32) where judged, in [-1, 1]. A spec is
a dictionary: task (index), s (shapes), c (colours or None), n (count), rel.
"""

import numpy as np

S = 32
SHAPES = ["circle", "square", "triangle", "cross"]
COLORS = {
    "red": (214, 48, 44),
    "green": (46, 160, 67),
    "blue": (44, 92, 214),
    "yellow": (246, 206, 48),
    "purple": (146, 58, 184),
    "orange": (244, 128, 28),
    "cyan": (58, 200, 214),
    "black": (34, 34, 38),
}
CN = list(COLORS)
PAL = np.array([COLORS[c] for c in CN], np.float32) / 127.5 - 1
BG = np.array([244, 242, 236], np.float32) / 127.5 - 1
PALB = np.concatenate([PAL, BG[None]], 0)  # index 8: the background
RELS = ["left", "right", "above", "below"]
NUM = {2: "two", 3: "three", 4: "four"}
TASKS = [
    "single_object",
    "two_object",
    "counting",
    "colors",
    "position",
    "color_attr",
]
YY, XX = np.mgrid[0:S, 0:S].astype(np.float32) + 0.5


def sdf(shape, cx, cy, r):
    """signed distance of all pixel centres to a shape"""
    x, y = (XX - cx, YY - cy)
    if shape == 0:
        return np.sqrt(x * x + y * y) - r
    if shape == 1:
        return np.maximum(np.abs(x), np.abs(y)) - r * 0.92
    if shape == 2:  # apex up, at y = -r; base of length 2r at y = r
        return np.maximum(y - r, (2 * np.abs(x) - (y + r)) / np.sqrt(5.0))
    a = r / 3.0
    return np.minimum(
        np.maximum(np.abs(x) - r, np.abs(y) - a),
        np.maximum(np.abs(x) - a, np.abs(y) - r),
    )


def render(objs):
    """objs: (shape, colour, cx, cy, r) each"""
    img = np.broadcast_to(BG, (S, S, 3)).copy()
    for sh, co, cx, cy, r in objs:
        a = np.clip(0.5 - sdf(sh, cx, cy, r), 0, 1)[..., None]
        img = img * (1 - a) + PAL[co] * a
    return img


def place(n, rng, rel=None):
    """n places (cx, cy, r) with gaps of 2 px or more (Chebyshev)"""
    rmin, rmax = {1: (6.0, 9.0), 2: (5.0, 7.0), 3: (4.6, 5.6), 4: (4.5, 5.2)}[n]
    while True:
        out = []
        for _ in range(60):
            r = rng.uniform(rmin, rmax)
            cx, cy = rng.uniform(r + 1, S - r - 1, 2)
            if all(
                (max(abs(cx - a), abs(cy - b)) > r + q + 2.0 for a, b, q in out)
            ):
                out.append((cx, cy, r))
                if len(out) == n:
                    break
        if len(out) < n:
            continue
        if rel is not None:
            (ax, ay, _), (bx, by, _) = out
            dx, dy = (ax - bx, ay - by)
            if abs(abs(dx) - abs(dy)) < 4:
                continue
            got = (
                (0 if dx < 0 else 1)
                if abs(dx) > abs(dy)
                else 2 if dy < 0 else 3
            )
            if got != rel:
                continue
        return out


def pl(s):
    return SHAPES[s] + ("es" if SHAPES[s] == "cross" else "s")


def spec_caption(sp):
    t = sp["task"]
    shapes = [SHAPES[s] for s in sp["s"]]
    colors = [CN[c] for c in sp["c"] if c is not None]
    if t == 0:
        return f"a {shapes[0]}"
    if t == 1:
        return f"a {shapes[0]} and a {shapes[1]}"
    if t == 2:
        return f"{NUM[sp['n']]} {pl(sp['s'][0])}"
    if t == 3:
        return f"a {colors[0]} {shapes[0]}"
    if t == 4:
        r = RELS[sp["rel"]]
        r = r + " of" if r in ("left", "right") else r
        return f"a {shapes[0]} {r} a {shapes[1]}"
    return f"a {colors[0]} {shapes[0]} and a {colors[1]} {shapes[1]}"


def rand_spec(rng, task=None):
    t = int(rng.integers(6)) if task is None else task
    s = [int(v) for v in rng.choice(4, 2, replace=False)]
    c = [int(v) for v in rng.choice(8, 2, replace=False)]
    sp = {"task": t, "s": s, "c": [None, None], "n": 1, "rel": None}
    if t in (0, 3):
        sp["s"] = s[:1]
    if t == 2:
        sp["s"] = s[:1]
        sp["n"] = int(rng.integers(2, 5))
    if t == 3:
        sp["c"] = c[:1]
    if t == 4:
        sp["rel"] = int(rng.integers(4))
    if t == 5:
        sp["c"] = c
    return sp


def draw_spec(sp, rng):
    t = sp["task"]
    n = sp["n"] if t == 2 else len(sp["s"])
    pos = place(n, rng, sp["rel"])
    cols = (
        [
            c if c is not None else int(rng.integers(8))
            for c in (sp["c"] * n)[:n]
        ]
        if t in (3, 5)
        else [int(v) for v in rng.integers(8, size=n)]
    )
    shs = sp["s"] * n if t == 2 else sp["s"]
    return render([(shs[i], cols[i], *pos[i]) for i in range(n)])


def sloppy(sp, rng):
    """a corrupted copy of the spec, as careless captions on the web"""
    q = dict(sp)
    t = q["task"]
    if t == 0:
        q["s"] = [int(rng.integers(4))]
    elif t == 1:
        q["s"] = [int(v) for v in rng.integers(4, size=2)]
    elif t == 2:
        q["n"] = int(rng.integers(1, 5))
    elif t == 3:
        q["c"] = [int(rng.integers(8))]
    elif t == 4:
        q["rel"] = int(rng.integers(4))
    else:
        k = rng.integers(3)
        if k == 0:
            q["c"] = q["c"][::-1]
        elif k == 1:
            q["c"] = [int(v) for v in rng.integers(8, size=2)]
        else:
            q["c"] = [q["c"][0]] * 2
    return q


TN = 12  # masks are compared at this size


def _templates():
    out = []
    for sh in range(4):
        m = sdf(sh, 16, 16, 12) < 0
        ys, xs = np.where(m)
        m = m[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        out.append(_resize(m))
    return np.stack(out)


def _resize(m):
    h, w = m.shape
    yi = np.minimum(((np.arange(TN) + 0.5) * h / TN).astype(int), h - 1)
    xi = np.minimum(((np.arange(TN) + 0.5) * w / TN).astype(int), w - 1)
    return m[yi][:, xi]


TEMPL = _templates()


def components(mask):
    """lists of pixel indices, 4-connected, by depth-first search"""
    m = mask.ravel().copy()
    comps = []
    for p in np.flatnonzero(m):
        if not m[p]:
            continue
        st = [int(p)]
        m[p] = False
        px = []
        while st:
            q = st.pop()
            px.append(q)
            y, x = divmod(q, S)
            if x > 0 and m[q - 1]:
                m[q - 1] = False
                st.append(q - 1)
            if x < S - 1 and m[q + 1]:
                m[q + 1] = False
                st.append(q + 1)
            if y > 0 and m[q - S]:
                m[q - S] = False
                st.append(q - S)
            if y < S - 1 and m[q + S]:
                m[q + S] = False
                st.append(q + S)
        comps.append(px)
    return comps


def detect(img):
    """list of (shape or -1, colour or -1, cx, cy, area)"""
    x = np.clip(img, -1, 1).reshape(3, -1).T
    d = ((x[:, None, :] - PALB[None]) ** 2).sum(-1)
    q = d.argmin(1)
    fg = (d[:, 8] > 0.3).reshape(S, S)
    objs = []
    for px in components(fg):
        if len(px) < 6:
            continue
        px = np.array(px)
        b = np.bincount(q[px], minlength=9)[:8]
        k = int(b.argmax())
        if b[k] == 0:
            continue
        u = PAL[k] - BG
        cov = (x[px] - BG) @ u / (u @ u)
        px = px[cov >= 0.5]
        if len(px) < 6:
            continue
        col = k if (q[px] == k).mean() >= 0.5 else -1
        ys, xs = (px // S, px % S)
        y0, y1, x0, x1 = (ys.min(), ys.max(), xs.min(), xs.max())
        h, w = (y1 - y0 + 1, x1 - x0 + 1)
        m = np.zeros((h, w), bool)
        m[ys - y0, xs - x0] = True
        r = _resize(m)
        iou = (r & TEMPL).sum((1, 2)) / (r | TEMPL).sum((1, 2))
        s = int(iou.argmax())
        if s < 2:
            s = 1 if len(px) > 0.895 * h * w else 0  # by fill ratio
        if (
            iou[s] < 0.72
            or not 20 <= len(px) <= 500
            or max(h, w) > 1.4 * min(h, w)
        ):
            s = -1
        objs.append((s, col, xs.mean(), ys.mean(), len(px)))
    return objs


def score(img, sp):
    """(graded score in [0, 1], strict 0 or 1)"""
    D = detect(img)
    t = sp["task"]
    if t == 2:
        R = [(sp["s"][0], None)] * sp["n"]
    else:
        R = [
            (s, sp["c"][i] if t in (3, 5) else None)
            for i, s in enumerate(sp["s"])
        ]
    used = set()
    tot = 0.0
    match = [None] * len(R)

    def q(r, d):
        if r[1] is None:
            return 1.0 if d[0] == r[0] else 0.0
        return 0.5 * (d[0] == r[0]) + 0.5 * (d[1] == r[1])

    for lev in (1.0, 0.5):
        for i, r in enumerate(R):
            if match[i] is not None:
                continue
            for j, d in enumerate(D):
                if j in used:
                    continue
                if q(r, d) >= lev:
                    used.add(j)
                    match[i] = j
                    tot += q(r, d)
                    break
    sc = tot / max(len(R), len(D), 1)
    if t == 4:
        ok = False
        if match[0] is not None and match[1] is not None:
            a, b = (D[match[0]], D[match[1]])
            dx, dy = (a[2] - b[2], a[3] - b[3])
            ok = [
                dx < -2 and abs(dx) >= abs(dy),
                dx > 2 and abs(dx) >= abs(dy),
                dy < -2 and abs(dy) >= abs(dx),
                dy > 2 and abs(dy) >= abs(dx),
            ][sp["rel"]]
        sc *= 1.0 if ok else 0.5
    return (sc, float(sc > 0.999))
