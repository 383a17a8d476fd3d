"""The bare loop: draw, loss, clip, step, and what a listener hears of it.

Its steps are held against the same steps written out by hand, and against those of a `Trainer`, whose listeners may
watch but not touch: losses, weights and the state of the random generator are the same to the last bit. A loop that is
taken up from a copied state is held against one that was never left.
"""

import ast
import inspect

import numpy as np
import pytest

from npmaskrcnn.training import (SGD, AdamW, Listener, Loop, Trainer, WarmupCosine, augment, clip_gradients,
                                 flip_horizontal)
from npmaskrcnn.training import loop as loop_module


@pytest.fixture
def make(fake_model, boxes):
    def make(seed=0, listeners=(), cls=Loop, optimizer=AdamW, **options):
        model = fake_model(seed)
        options = {"rng": np.random.default_rng(3), "schedule": WarmupCosine(0.01, 10, warmup=3),
                   **({"listeners": listeners, "augment": augment} if cls is Loop else {"log_every": 0}), **options}
        return cls(model, boxes(), optimizer(model.named_parameters(), 0.01), **options)
    return make


def state_of(loop):
    return {**loop.model.state_dict(), **loop.optimizer.state_dict(), "step": loop.step, "order": loop.order.order,
            "position": loop.order.position, "rng": str(loop.rng.bit_generator.state)}


def assert_same(one, two):
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key], err_msg=key)


def test_it_learns_without_anybody_listening(make):
    loop = make(optimizer=SGD, schedule=None)
    loop.optimizer.lr = 0.1
    totals = [sum(loop.one_step().losses.values()) for _ in range(60)]
    assert np.mean(totals[-5:]) < 0.1 * np.mean(totals[:5]) and loop.step == 60


def test_its_steps_are_those_written_by_hand(make, fake_model, boxes):
    loop = make(clip_norm=0.5, batch_size=2)
    losses = [loop.one_step().losses for _ in range(6)]

    model, dataset, rng, schedule = fake_model(0), boxes(), np.random.default_rng(3), WarmupCosine(0.01, 10, warmup=3)
    optimizer = AdamW(model.named_parameters(), 0.01)
    waiting, norms = [], []
    for step in range(6):
        indices, images, targets = [], [], []
        for _ in range(2):
            waiting = waiting or rng.permutation(7).tolist()    # seven images: a batch of two reaches over their end
            indices.append(waiting.pop(0))
        for index in indices:
            image, target = dataset[index]
            if rng.random() < 0.5:
                image, target = flip_horizontal(image, target)
            images.append(image)
            targets.append(target)
        assert model.loss_and_grads(images, targets, rng) == losses[step]
        norms.append(clip_gradients(model.named_parameters(), 0.5))
        optimizer.lr = schedule.learning_rate(step)
        optimizer.step()
    assert max(norms) > 0.5     # clipping did something
    assert_same(model.state_dict(), loop.model.state_dict())
    assert rng.bit_generator.state == loop.rng.bit_generator.state


def test_a_trainers_listeners_change_nothing(make):
    def zoomed(image, target, rng):
        return augment(image, target, rng, scale_jitter=(0.8, 1.3))
    bare, trainer = make(augment=zoomed), make(scale_jitter=(0.8, 1.3), cls=Trainer, weight_average=0.9)
    for _ in range(5):
        row = trainer.train_step()
        batch = bare.one_step()
        assert batch.losses.items() <= row.items() and batch.grad_norm == row["grad_norm"]
    assert_same(state_of(bare), state_of(trainer))


class Diary(Listener):
    """Writes down what has happened, and what the weights and gradients are then."""

    def __init__(self, pages):
        self.pages = pages

    def write(self, part, loop, batch):
        parameters = list(loop.model.parameters())
        grads = [p.grad for p in parameters if p.grad is not None]
        self.pages.append(dict(who=self, part=part, step=loop.step, losses=batch.losses, norm=batch.grad_norm,
                               images=[image.tobytes() for image, _ in batch.items],
                               length=np.sqrt(sum((g.astype(float) ** 2).sum() for g in grads)),
                               weights=np.concatenate([p.data.ravel() for p in parameters])))

    def drawn(self, loop, batch):
        self.write("drawn", loop, batch)

    def differentiated(self, loop, batch):
        self.write("differentiated", loop, batch)

    def clipped(self, loop, batch):
        self.write("clipped", loop, batch)

    def stepped(self, loop, batch):
        self.write("stepped", loop, batch)


def test_listeners_hear_of_each_part_when_it_is_done(make, boxes):
    pages = []
    first, second = Diary(pages), Diary(pages)
    batch = make(listeners=[first, second], clip_norm=0.25).one_step()
    assert [page["who"] for page in pages] == [first, second] * 4      # in the order of the list
    drawn, differentiated, clipped, stepped = pages[::2]
    assert [page["part"] for page in pages[::2]] == ["drawn", "differentiated", "clipped", "stepped"]
    assert drawn["images"] == [boxes()[index][0].tobytes() for index in batch.indices]     # not yet mirrored
    assert differentiated["images"] != drawn["images"]
    assert drawn["losses"] is None and differentiated["losses"] == batch.losses
    assert differentiated["norm"] is None and clipped["norm"] == batch.grad_norm
    # float32 gradients, summed in another order
    np.testing.assert_allclose(differentiated["length"], batch.grad_norm, rtol=1e-5)
    np.testing.assert_allclose(clipped["length"], 0.25, rtol=1e-5)
    np.testing.assert_array_equal(clipped["weights"], drawn["weights"])
    assert (stepped["weights"] != clipped["weights"]).any()
    assert [page["step"] for page in pages[::2]] == [0, 0, 0, 1]


def test_a_trainer_has_room_for_more_listeners(make):
    trainer, pages = make(cls=Trainer), []
    trainer.listeners.append(Diary(pages))
    trainer.run(2)
    assert [page["part"] for page in pages] == ["drawn", "differentiated", "clipped", "stepped"] * 2


def test_an_error_of_a_listener_stops_the_loop_before_the_weights_move(make):
    class Doubtful(Listener):
        def clipped(self, loop, batch):
            raise ArithmeticError(f"a gradient of length {batch.grad_norm}")

    loop = make(listeners=[Doubtful()])
    before = [p.data.copy() for p in loop.model.parameters()]
    with pytest.raises(ArithmeticError, match="a gradient of length"):
        loop.one_step()
    for parameter, value in zip(loop.model.parameters(), before):
        np.testing.assert_array_equal(parameter.data, value)
    assert loop.step == 0


def test_it_goes_on_from_a_copied_state(make):
    whole, first, second = make(), make(), make(seed=9, rng=np.random.default_rng(8))
    losses = [whole.one_step().losses for _ in range(8)]
    for _ in range(5):
        first.one_step()
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.rng.bit_generator.state = first.rng.bit_generator.state
    second.order.order, second.order.position, second.step = first.order.order.copy(), first.order.position, first.step
    assert [second.one_step().losses for _ in range(3)] == losses[5:]
    assert_same(state_of(whole), state_of(second))


def test_its_file_holds_the_loop_and_nothing_else():
    nodes = list(ast.walk(ast.parse(inspect.getsource(loop_module))))
    assert not [node for node in nodes if isinstance(node, (ast.Try, ast.With, ast.Raise, ast.Assert))]
    calls = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"open", "print"}
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level}
    assert imported == {"optimizers"}
    assert len(inspect.getsource(Loop.one_step).splitlines()) <= 30
