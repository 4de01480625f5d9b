# Asks the model for probabilities and writes them beside the labels, which stand first on each line of the data.
set -e
python -m vowpalwabbit --quiet --testonly --initial_regressor model/cancer.vw --data data/test.vw --predictions probabilities.txt --link logistic
cut -d ' ' -f 1 data/test.vw | paste -d ' ' - probabilities.txt | awk '
  BEGIN { print "id,target,prediction,score" }
        { print $3 "," $1 "," ($2 > 0.5 ? 1 : -1) "," $2 }' >"$MLOPS_PREDICTIONS"
