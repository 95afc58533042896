#include "calculator.h"

#include <regex>
#include <stdexcept>

namespace calculator {

namespace {

const std::regex number(R"((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)");
const std::regex name(R"([A-Za-z_]\w*)");
const std::regex symbol(R"([-+*/^(),])");
const std::regex space(R"(\s+)");

}  // namespace

std::vector<Token> tokenize(const std::string& text) {
    std::vector<Token> tokens;
    std::smatch match;
    const auto here = std::regex_constants::match_continuous;
    for (auto at = text.cbegin(); at != text.cend(); at = match[0].second) {
        if (std::regex_search(at, text.cend(), match, space, here)) {
            continue;
        }
        if (std::regex_search(at, text.cend(), match, number, here)) {
            tokens.emplace_back(std::stod(match.str()));
        } else if (std::regex_search(at, text.cend(), match, name, here)) {
            tokens.emplace_back(Name{match.str()});
        } else if (std::regex_search(at, text.cend(), match, symbol, here)) {
            tokens.emplace_back(Symbol{*at});
        } else {
            throw std::invalid_argument("unexpected character '" + std::string(1, *at) + "'");
        }
    }
    return tokens;
}

}  // namespace calculator
