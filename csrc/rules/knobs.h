// STEEP_KNOBS: the knobs of a rule, named once for its formula and for the table that gives their
// values; and what a rule may say of itself. No rule lives here.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

#include "base/extent.h"

namespace steep::STEEP_ISA::rules {

constexpr std::size_t count_words(std::string_view list) {
  std::size_t count = 1;
  for (char c : list) count += c == ',';
  return count;
}

// "rate, beta1" as {"rate", "beta1"}.
template <std::size_t kCount>
constexpr std::array<std::string_view, kCount> words(std::string_view list) {
  std::array<std::string_view, kCount> out;
  for (std::string_view& word : out) {
    word = list.substr(0, list.find(','));
    list.remove_prefix(word.size() < list.size() ? word.size() + 2 : word.size());
  }
  return out;
}

// Of a rule that steps in two passes: how many sums over the whole parameter the first one makes for
// the second, and whether that wants the gradient again. Most rules step in one.
template <class Rule>
inline constexpr int kSums = [] {
  if constexpr (requires { Rule::kTerms; }) return Rule::kTerms;
  return 0;
}();
template <class Rule>
inline constexpr bool kKeepsGradient = [] {
  if constexpr (requires { Rule::kNeedsGradient; }) return Rule::kNeedsGradient;
  return false;
}();
// Whether the first pass leaves a direction in place of the gradient, which is made orthogonal before the
// second one.
template <class Rule>
inline constexpr bool kOrthogonal = [] {
  if constexpr (requires { Rule::kOrthogonal; }) return Rule::kOrthogonal;
  return false;
}();
// Whether a weight without a gradient stays where it is, and its slots: then its block may be left alone.
template <class Rule>
inline constexpr bool kStill = [] {
  if constexpr (requires { Rule::kStill; }) return Rule::kStill;
  return false;
}();
// Whether its slots are one number for each row and one for each column of a matrix, of which the direction
// is made that the second pass takes in place of the gradient.
template <class Rule>
inline constexpr bool kFactored = [] {
  if constexpr (requires { Rule::kFactored; }) return Rule::kFactored;
  return false;
}();

}  // namespace steep::STEEP_ISA::rules

// Knobs<T>, a struct of numbers of these names, and kKnobs, the names in the order of its members.
#define STEEP_KNOBS(...) \
  template <class T>     \
  struct Knobs {         \
    T __VA_ARGS__;       \
  };                     \
  static constexpr auto kKnobs = words<count_words(#__VA_ARGS__)>(#__VA_ARGS__)
