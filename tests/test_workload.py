"""What a training is worth: threads and compilation."""

from kanzoo import construction, workload
from kanzoo.config import compose


def test_work_is_a_multiplication_a_parameter_and_sample(tiny: str) -> None:
    for size, samples in ((20, 20), (0, 60)):
        (cell,) = compose(tiny, [f"trainer.batch_size={size}"])
        assert workload.work(construction.build(cell)) == samples * 19  # 9 a hidden unit, and the bias of the output


def test_what_compiles_by_itself_is_a_minute_of_training(tiny: str) -> None:
    def wants(seconds: float) -> bool:
        (cell,) = compose(tiny, ["trainer.compile=auto", f"trainer.max_seconds={seconds}"])
        return workload.wants_compilation(cell, construction.build(cell))

    assert [wants(seconds) for seconds in (59, 60)] == [False, True]
