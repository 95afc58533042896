#include "calculator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <ranges>
#include <stdexcept>

namespace calculator {

namespace {

using Values = std::vector<double>;

double sum(const Values& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

double mean(const Values& values) {
    return sum(values) / static_cast<double>(values.size());
}

double median(Values values) {
    std::ranges::sort(values);
    const auto middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double deviation(const Values& values) {
    auto squares = values | std::views::transform([m = mean(values)](double value) { return (value - m) * (value - m); });
    return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0) / static_cast<double>(values.size()));
}

double distinct(Values values) {
    std::ranges::stable_sort(values);
    const auto rest = std::ranges::unique(values);
    return static_cast<double>(std::ranges::distance(values.begin(), rest.begin()));
}

const std::map<std::string, std::function<double(const Values&)>> functions{
    {"sum", sum},
    {"mean", mean},
    {"median", median},
    {"deviation", deviation},
    {"distinct", distinct},
    {"min", [](const Values& values) { return std::ranges::min(values); }},
    {"max", [](const Values& values) { return std::ranges::max(values); }},
    {"sqrt", [](const Values& values) { return std::sqrt(values.front()); }},
};

}  // namespace

double call(const std::string& function, const std::vector<double>& arguments) {
    const auto found = functions.find(function);
    if (found == functions.end()) {
        throw std::invalid_argument("unknown function '" + function + "'");
    }
    if (arguments.empty()) {
        throw std::invalid_argument("the function '" + function + "' needs an argument");
    }
    return found->second(arguments);
}

}  // namespace calculator
