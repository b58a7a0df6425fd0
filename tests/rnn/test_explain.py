"""What is said of a cell's plan."""

import re

import pytest

import rnn
from minigrad.codegen import Unsupported
from rnn.__main__ import main
from shipped import SHIPPED, sizes_of


def test_an_lstm_is_explained_in_its_own_names():
    text = str(rnn.Recurrent(rnn.LSTM, 64, 128).explain())
    for line in ("LSTM: x 64, h 128, c 128, 98,816 parameters",
                 "    f = sigmoid(W @ [h, x] + b)",
                 "        f_pre i_pre g_pre o_pre += x times W_f.x W_i.x W_g.x W_o.x",
                 "        f_pre i_pre g_pre o_pre += h times W_f.h W_i.h W_g.h W_o.h",
                 "        g_left.h += the gradients of f_pre i_pre g_pre o_pre times W_f.h W_i.h W_g.h W_o.h",
                 "    h, c, f, i, g, o: 768 numbers, 3,072 bytes",
                 "    tanh(c_next)",
                 "    forward: 196,608 operations in products; in the loop 1,152 elementwise, 2,560 bytes read and 3,072 "
                 "written",
                 "    c_next = f * c + i * g",
                 "    d_f_pre = d_f * (f * (1.0 - f))"):
        assert line in text.splitlines(), line


def test_cuda_is_the_kernel_that_runs_the_loop_without_what_all_cells_share():
    explained = rnn.Recurrent(rnn.PeepholeLSTM, 6, 5).explain()
    assert [text.splitlines()[0] for text in explained.sources["CUDA"]] == [
        f"// {half}: the loop's one kernel, without what no cell changes: minigrad/native/grid.cuh"
        for half in ("forward", "backward")]
    for half, text in zip(("forward", "backward"), explained.sources["CUDA"]):
        assert re.search(rf'extern "C" __global__ void __launch_bounds__\(512\) {half}\(', text)
        assert text.count("meet(met, ") == 2 and "__device__ void meet" not in text
        assert max(map(len, text.splitlines())) <= 128
        assert "    on a GPU, blocks that share rows meet twice" in getattr(explained, half)
    assert "        T c_next = f * c + i_ * g;" in explained.sources["CUDA"][0]


def test_where_a_gpu_runs_each_stage_by_itself_cuda_is_what_it_runs(monkeypatch):
    def unsupported(*_): raise Unsupported("a kernel")
    monkeypatch.setattr(rnn.explain, "persistent", unsupported)
    explained = rnn.Recurrent(rnn.LSTM, 6, 5).explain()
    assert "forward_1(T f_pre, " in explained.sources["CUDA"][0] and "c_next = f * c + i_ * g;" in explained.sources["CUDA"][0]
    assert "meet" not in str(explained)


def test_a_loop_that_is_empty_has_no_kernel():
    explained = rnn.Recurrent(rnn.AdditiveAttention, 6, 5, memory=2).explain()
    assert explained.sources["CUDA"] == [] and "CUDA" not in str(explained) and "meet" not in str(explained)


def test_hoisted_stands_before_the_loop_and_deferred_after():
    lines = str(rnn.Recurrent(rnn.LSTM, 2, 3).explain()).splitlines()
    places = [lines.index(line) for line in ("    for all steps at once, before the loop:",
                                             "        f_pre i_pre g_pre o_pre += x times W_f.x W_i.x W_g.x W_o.x",
                                             "    in each step:", "backward", "    for all steps at once, after the loop:",
                                             "        gradients of all matrices and biases, one product for each operand")]
    assert places == sorted(places)


def test_values_without_a_name_are_told_by_what_computes_them():
    lines = str(rnn.Recurrent(rnn.GRU, 2, 3).explain()).splitlines()
    assert {"        forward_1: r, multiply(r, h)", "        n_pre += multiply(r, h) times W_n.h"} < set(lines)
    assert "names, for a gate f" in lines


def test_what_belongs_to_no_step_is_told_first():
    """A memory's projection, once a sequence."""
    text = str(rnn.Recurrent(rnn.variants.AttentiveGRU, 2, 3, memory=4).explain())
    lines = text[text.index("once for all steps, before everything:"):].splitlines()
    assert lines[1].strip() == "attention_k_m = linear(m, W_attention_k.m)"
    assert "once for all steps" not in str(rnn.Recurrent(rnn.LSTM, 2, 3).explain())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_cell_can_be_explained(name):
    text = str(rnn.Recurrent(SHIPPED[name], 2, 3, **sizes_of(SHIPPED[name])).explain())
    assert text.startswith(f"{name}: ") and "\nforward\n" in text and "\nbackward\n" in text


def test_the_command(capsys):
    assert main(["explain", "GRU", "--input", "8", "--hidden", "16"]) == 0
    assert "GRU: x 8, h 16, 1,152 parameters" in capsys.readouterr().out
    assert main(["explain", "Nope"]) == 1 and main(["explain", "ProjectedLSTM"]) == 1
    assert "ProjectedLSTM needs proj" in capsys.readouterr().err


def test_a_layer_from_a_checkpoint_can_be_explained_without_its_class():
    layer = rnn.Recurrent.from_config(rnn.Recurrent(rnn.GRU, 2, 3).config())
    assert "def forward_1" in str(layer.explain()) and not layer.explain().equations


def test_the_passes_are_printed_one_after_the_other(capsys):
    assert main(["explain", "GRU", "--passes", "--input", "3", "--hidden", "4"]) == 0
    said = capsys.readouterr().out
    titles = re.findall(r"^([a-z, ]+) -{90,}$", said, re.M)
    assert titles == ["trace", "lower", "split", "simplify", "cut", "derive", "simplify", "collect", "save", "divide, forward",
                      "level, forward", "divide, backward", "level, backward", "merge"]
    assert "z_pre = left.h·W_z.hᵀ + left.x·W_z.xᵀ\n" in said and "for the backward half: h, z, r, n\n" in said
