"""A deterministic cohort of drawn needle-core biopsies, whose truth and best reachable score are known.

`cohort.write_cohort` writes one. The steps stand alone: `plan.plan_cohort` says which slides there are,
`slide.draw_slide` draws one, and whatever is to be wrong with a slide can be done to the `slide.DrawnSlide` before it
is written.
"""
