// The model as a program.
//
//   model              speaks over standard input and output: a line "EWTVM 1 INPUT_BYTES OUTPUT_BYTES", and then for
//                      each "r" with all inputs one after the other either "0" with all outputs, or "1" with a line.
//   model --time RUNS  prints the median seconds of each step on zeros, one line each, and of the whole.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ew_tvm.h"

namespace {

int64_t total(int32_t count, int64_t (*bytes)(int32_t)) {
    int64_t sum = 0;
    for (int32_t i = 0; i < count; ++i) sum += bytes(i);
    return sum;
}

bool read_inputs() {
    for (int32_t i = 0; i < ew_tvm_inputs(); ++i) {
        const size_t bytes = static_cast<size_t>(ew_tvm_input_bytes(i));
        if (fread(ew_tvm_input(i), 1, bytes, stdin) != bytes) return false;
    }
    return true;
}

void answer() {
    if (ew_tvm_run() != 0) {
        printf("1%s\n", ew_tvm_error());
        return;
    }
    putchar('0');
    for (int32_t i = 0; i < ew_tvm_outputs(); ++i) {
        fwrite(ew_tvm_output(i), 1, static_cast<size_t>(ew_tvm_output_bytes(i)), stdout);
    }
}

int serve() {
    printf("EWTVM 1 %lld %lld\n", static_cast<long long>(total(ew_tvm_inputs(), ew_tvm_input_bytes)),
           static_cast<long long>(total(ew_tvm_outputs(), ew_tvm_output_bytes)));
    fflush(stdout);
    for (int asked = getchar(); asked != EOF; asked = getchar()) {
        if (asked != 'r' || !read_inputs()) {
            fprintf(stderr, "the conversation is out of step\n");
            return 2;
        }
        answer();
        fflush(stdout);
    }
    return 0;
}

double median(std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

int time_steps(int runs) {
    const size_t steps = static_cast<size_t>(ew_tvm_steps());
    std::vector<std::vector<double>> seconds(steps + 1);
    std::vector<double> row(steps + 1);
    for (int run = 0; run < runs; ++run) {
        if (ew_tvm_run_timed(row.data()) != 0) {
            fprintf(stderr, "%s\n", ew_tvm_error());
            return 1;
        }
        row[steps] = 0;
        for (size_t i = 0; i < steps; ++i) row[steps] += row[i];
        for (size_t i = 0; i <= steps; ++i) seconds[i].push_back(row[i]);
    }
    for (size_t i = 0; i <= steps; ++i) {
        printf("%.3e s  %s\n", median(seconds[i]), i < steps ? ew_tvm_step_name(static_cast<int32_t>(i)) : "total");
    }
    return 0;
}

}  // namespace

int main(int count, char** words) {
    if (count == 1) return serve();
    const int runs = count == 3 && strcmp(words[1], "--time") == 0 ? atoi(words[2]) : 0;
    if (runs > 0) return time_steps(runs);
    fprintf(stderr, "usage: %s [--time RUNS]\n", words[0]);
    return 2;
}
