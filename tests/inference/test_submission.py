from tilewise.inference.submission import write_submission


def test_the_exact_bytes(tmp_path):
    path = tmp_path / "submission.csv"
    rows = [("img_0001.png", "Luminal A"), ("b, c.png", "HER2(+)"), ("ü 1.png", 'the "NA"')]
    write_submission(path, rows)
    assert path.read_bytes() == (
        'sample_index,label\nimg_0001.png,Luminal A\n"b, c.png",HER2(+)\nü 1.png,"the ""NA"""\n'.encode()
    )


def test_without_slides_there_is_a_header(tmp_path):
    write_submission(tmp_path / "new" / "submission.csv", [])
    assert (tmp_path / "new" / "submission.csv").read_bytes() == b"sample_index,label\n"
