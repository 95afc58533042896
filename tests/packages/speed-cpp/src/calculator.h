// Text -> tokens -> expression tree -> number. Mistakes are std::invalid_argument with a message for people.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace calculator {

struct Name {
    std::string text;
};

struct Symbol {
    char sign;
};

using Token = std::variant<double, Name, Symbol>;

struct Expression;
using Operand = std::unique_ptr<Expression>;

struct Number {
    double value;
};

struct Variable {
    std::string name;
};

struct Negation {
    Operand operand;
};

struct Operation {
    char sign;
    Operand left;
    Operand right;
};

struct Call {
    std::string function;
    std::vector<Operand> arguments;
};

struct Expression {
    std::variant<Number, Variable, Negation, Operation, Call> node;
};

using Variables = std::map<std::string, double>;

std::vector<Token> tokenize(const std::string& text);
Expression parse(const std::vector<Token>& tokens);
double evaluate(const Expression& expression, const Variables& variables);
double call(const std::string& function, const std::vector<double>& arguments);

}  // namespace calculator
