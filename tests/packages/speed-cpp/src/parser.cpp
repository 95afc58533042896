#include "calculator.h"

#include <cstddef>
#include <stdexcept>
#include <utility>

namespace calculator {

namespace {

// sum = product (+|- product)*, product = factor (*|/ factor)*, factor = -factor | power, power = atom (^ factor)?
class Parser {
public:
    explicit Parser(const std::vector<Token>& tokens) : tokens_(tokens) {}

    Operand whole() {
        auto result = sum();
        if (at_ != tokens_.size()) {
            throw std::invalid_argument("something follows the end of the expression");
        }
        return result;
    }

private:
    template <typename Node>
    static Operand make(Node node) {
        return std::make_unique<Expression>(Expression{std::move(node)});
    }

    bool accept(char sign) {
        const auto* found = at_ < tokens_.size() ? std::get_if<Symbol>(&tokens_[at_]) : nullptr;
        const bool same = found != nullptr && found->sign == sign;
        at_ += same ? 1 : 0;
        return same;
    }

    void expect(char sign) {
        if (!accept(sign)) {
            throw std::invalid_argument("expected '" + std::string(1, sign) + "'");
        }
    }

    Operand sum() { return chain<'+', '-'>([this] { return product(); }); }
    Operand product() { return chain<'*', '/'>([this] { return factor(); }); }

    template <char... signs, typename Next>
    Operand chain(Next next) {
        auto left = next();
        const auto extend = [&](char sign) {
            if (!accept(sign)) {
                return false;
            }
            auto right = next();
            left = make(Operation{sign, std::move(left), std::move(right)});
            return true;
        };
        while ((extend(signs) || ...)) {
        }
        return left;
    }

    Operand factor() { return accept('-') ? make(Negation{factor()}) : power(); }

    Operand power() {
        auto base = atom();
        if (!accept('^')) {
            return base;
        }
        auto exponent = factor();
        return make(Operation{'^', std::move(base), std::move(exponent)});
    }

    Operand atom() {
        if (accept('(')) {
            auto inner = sum();
            expect(')');
            return inner;
        }
        if (at_ == tokens_.size()) {
            throw std::invalid_argument("the expression ends too early");
        }
        const auto& token = tokens_[at_++];
        if (const auto* number = std::get_if<double>(&token)) {
            return make(Number{*number});
        }
        if (const auto* name = std::get_if<Name>(&token)) {
            return accept('(') ? make(Call{name->text, arguments()}) : make(Variable{name->text});
        }
        throw std::invalid_argument("unexpected '" + std::string(1, std::get<Symbol>(token).sign) + "'");
    }

    std::vector<Operand> arguments() {
        std::vector<Operand> found;
        if (accept(')')) {
            return found;
        }
        do {
            found.push_back(sum());
        } while (accept(','));
        expect(')');
        return found;
    }

    const std::vector<Token>& tokens_;
    std::size_t at_ = 0;
};

}  // namespace

Expression parse(const std::vector<Token>& tokens) {
    return std::move(*Parser(tokens).whole());
}

}  // namespace calculator
