// What a session counts and records: sums of epochs, losses of steps, and the epochs that runs went past.
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "session/session.h"

namespace steep {

// Adds what step i of the loop left to the sums, and returns its loss.
double Session::add_step(long i, Position here, double rows, const double* scalars,
                         std::vector<Sums>* sums) const {
  double all = 0;
  std::size_t t = 0, at = static_cast<std::size_t>(i) * terms_.size();
  for (const Aimed& goal : goals_) {
    const std::size_t end = t + goal.objective.terms.size();
    const bool due = goal.every == 1 || (here.step + 1) % goal.every == 0;
    for (; t < end; ++t, ++at) {
      if (!due) continue;
      const double loss = outcome_.loss[at], weight = outcome_.weight[at];
      const double over = goal.recipe.weighted ? weight : rows;
      const double by = terms_[t].weight_at(scalars);
      all += by * (goal.recipe.mean && over > 0 ? loss / over : loss);
      if (sums == nullptr) continue;
      Sums& sum = (*sums)[t];
      sum.loss += loss;
      sum.weighted += by * loss;
      sum.right += outcome_.right[at];
      sum.weight += weight;
      sum.samples += rows;
    }
  }
  return all;
}

// Adds what the loop left to the progress; a step took so many seconds.
void Session::tally(const Batcher& data, Position at, long done, const double* knobs, bool single,
                    double seconds) {
  for (long i = 0; i < done; ++i) {
    const Position here = after(data, at, i);
    if (!single && here.batch == 0) enter(here.epoch);
    const double* const scalars = knobs + i * row_.columns + row_.scalars;
    log_.push_back(add_step(i, here, static_cast<double>(data.rows(here.batch)), scalars,
                            single ? nullptr : &progress_.sums));
    ++progress_.steps;
    if (single) continue;
    progress_.batch = here.batch + 1;
    progress_.seconds += seconds;
  }
}

// Begins an epoch, the one in progress anew or a later one; that ends the one before.
void Session::enter(long epoch) {
  if (epoch > progress_.epoch) {
    ended_.push_back({progress_.epoch, progress_.steps, progress_.seconds});
    ended_sums_.insert(ended_sums_.end(), progress_.sums.begin(), progress_.sums.end());
  }
  progress_.begin_epoch(epoch);
}

// Drops what was recorded of steps before `known`.
void Session::forget(long known) {
  const long logged = progress_.steps - static_cast<long>(log_.size());
  log_.erase(log_.begin(), log_.begin() + std::clamp(known - logged, 0L, progress_.steps - logged));
  const auto kept = std::find_if(ended_.begin(), ended_.end(),
                                 [&](const Ended& each) { return each.steps > known; });
  const auto gone = kept - ended_.begin();
  ended_.erase(ended_.begin(), kept);
  ended_sums_.erase(ended_sums_.begin(),
                    ended_sums_.begin() + gone * static_cast<long>(terms_.size()));
}

auto Session::record(long first) -> Record {
  const Inside reading(gate_, Inside::kRead);
  first = std::min(first, progress_.steps);
  const long logged = progress_.steps - static_cast<long>(log_.size());
  std::vector<double> out(std::max(0L, std::min(logged, progress_.steps) - first),
                          std::numeric_limits<double>::quiet_NaN());
  out.insert(out.end(), log_.begin() + std::clamp(first - logged, 0L, progress_.steps - logged),
             log_.end());
  return {progress_, std::move(out), ended_, ended_sums_};
}

void Session::set_recording(long every) {
  const Inside alone(gate_, Inside::kWrite);
  if (every < 0) refuse("every must be at least 0, got ", every);
  const std::size_t parameters = network_->weights()->layout().slices.size();
  const std::size_t ops = every > 0 ? training_->watched().size() : 0;
  recording_.begin(every,
                   static_cast<long>(parameters * kParameterNumbers + ops * kActivationNumbers));
}

Recording::Rows Session::recorded(long known) {
  const Inside alone(gate_, Inside::kWrite);
  recording_.forget(known);
  recording_.cut(progress_.steps);
  return recording_.rows();
}

}  // namespace steep
