#include "calculator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <ranges>
#include <stdexcept>

namespace calculator {

namespace {

const std::map<char, std::function<double(double, double)>> operations{
    {'+', std::plus<>()},
    {'-', std::minus<>()},
    {'*', std::multiplies<>()},
    {'/', std::divides<>()},
    {'^', [](double base, double exponent) { return std::pow(base, exponent); }},
};

struct Evaluate {
    const Variables& variables;

    double operator()(const Number& number) const { return number.value; }

    double operator()(const Variable& variable) const {
        const auto found = variables.find(variable.name);
        if (found == variables.end()) {
            throw std::invalid_argument("unknown variable '" + variable.name + "'");
        }
        return found->second;
    }

    double operator()(const Negation& negation) const { return -value(negation.operand); }

    double operator()(const Operation& operation) const {
        return operations.at(operation.sign)(value(operation.left), value(operation.right));
    }

    double operator()(const Call& function) const {
        std::vector<double> values;
        std::ranges::transform(
            function.arguments, std::back_inserter(values), [this](const Operand& operand) { return value(operand); });
        return call(function.function, values);
    }

    double value(const Operand& operand) const { return std::visit(*this, operand->node); }
};

}  // namespace

double evaluate(const Expression& expression, const Variables& variables) {
    return std::visit(Evaluate{variables}, expression.node);
}

}  // namespace calculator
