"""The review: a person looks at the photos of an output folder, corrects what was concealed, and releases them.

`queue` orders the photos, `desk` keeps who has which and what was decided, `pictures` shows them, `app` serves the page
in `page/`.
"""
